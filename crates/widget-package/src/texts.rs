//! The default texts of a package, in every language.

use super::exit::{FAIL, SUCCESS, SUPERSEDED};
use super::locale::Locale;

/// The texts that Kommo shows for a widget, unless the operator supplies others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Texts {
    /// The description on the page of the integration.
    pub(super) description: &'static str,
    /// The same, shorter.
    pub(super) short_description: &'static str,
    /// The label of the only setting. Kommo requires one, and activates a widget when its settings are saved.
    pub(super) note: &'static str,
    /// The title of the exit `success`.
    pub(super) success: &'static str,
    /// The title of the exit `superseded`.
    pub(super) superseded: &'static str,
    /// The title of the exit `fail`.
    pub(super) fail: &'static str,
}

impl Texts {
    /// The title of the standard exit with this code; `None` if the code is not one of theirs.
    pub(super) fn of_exit(&self, code: &str) -> Option<&'static str> {
        match code {
            SUCCESS => Some(self.success),
            SUPERSEDED => Some(self.superseded),
            FAIL => Some(self.fail),
            _ => None,
        }
    }
}

/// The texts in `locale`.
pub(super) const fn texts(locale: Locale) -> Texts {
    match locale {
        Locale::En => Texts {
            description: "Adds a block to SalesBot. The block sends data from the bot to your own program and waits \
                          for the response. The bot then continues with it.",
            short_description: "Lets your own program respond in SalesBot",
            note: "Note for your team (not sent anywhere)",
            success: "Success",
            superseded: "Joined into a later message",
            fail: "Failure",
        },
        Locale::Es => Texts {
            description: "Añade un bloque a SalesBot. El bloque envía datos del bot a su propio programa, espera \
                          la respuesta y el bot continúa con ella.",
            short_description: "Su propio programa responde en SalesBot",
            note: "Nota para su equipo (no se envía a ninguna parte)",
            success: "Éxito",
            superseded: "Unido a un mensaje posterior",
            fail: "Error",
        },
        Locale::Pt => Texts {
            description: "Adiciona um bloco ao SalesBot. O bloco envia dados do bot ao seu próprio programa, espera \
                          a resposta, e o bot continua com ela.",
            short_description: "O seu próprio programa responde no SalesBot",
            note: "Nota para a sua equipe (não é enviada a lugar nenhum)",
            success: "Sucesso",
            superseded: "Unida a uma mensagem posterior",
            fail: "Falha",
        },
        Locale::Tr => Texts {
            description: "SalesBot'a bir blok ekler. Blok, botun verilerini kendi programınıza gönderir, yanıtını \
                          bekler ve bot bu yanıtla devam eder.",
            short_description: "SalesBot'ta yanıtı kendi programınız verir",
            note: "Ekibiniz için not (hiçbir yere gönderilmez)",
            success: "Başarılı",
            superseded: "Sonraki mesajla birleştirildi",
            fail: "Başarısız",
        },
        Locale::Id => Texts {
            description: "Menambahkan blok ke SalesBot. Blok ini mengirim data bot ke program Anda sendiri, \
                          menunggu jawabannya, lalu bot melanjutkan dengan jawaban itu.",
            short_description: "Program Anda sendiri menjawab di SalesBot",
            note: "Catatan untuk tim Anda (tidak dikirim ke mana pun)",
            success: "Berhasil",
            superseded: "Digabung ke pesan berikutnya",
            fail: "Gagal",
        },
        Locale::Ru => Texts {
            description: "Добавляет блок в SalesBot. Блок отправляет данные бота вашей собственной программе, ждёт \
                          её ответа, и бот продолжает работу с этим ответом.",
            short_description: "Ваша собственная программа отвечает в SalesBot",
            note: "Заметка для вашей команды (никуда не отправляется)",
            success: "Успешно",
            superseded: "Объединено с более поздним сообщением",
            fail: "Ошибка",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_own_texts() {
        let all: Vec<Texts> = Locale::ALL.map(texts).into();
        let columns: [fn(&Texts) -> &str; 6] = [
            |t| t.description,
            |t| t.short_description,
            |t| t.note,
            |t| t.success,
            |t| t.superseded,
            |t| t.fail,
        ];
        for column in columns {
            let mut sentences: Vec<&str> = all.iter().map(column).collect();
            assert!(sentences.iter().all(|text| !text.is_empty() && !text.contains("  ")), "{sentences:?}");
            sentences.sort_unstable();
            sentences.dedup();
            assert_eq!(sentences.len(), Locale::ALL.len(), "{sentences:?}");
        }
    }
}
