//! The language of the account, in which Kommo writes the titles and details of its problem documents.
//!
//! The rest of this crate writes English. For an account in another language, this module replaces the texts
//! of each response. Statuses, codes and hints stay the same, so tests expose a caller that relies on a text.

use std::str::FromStr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::answer::Answer;

/// A language of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, the default of Kommo's accounts.
    #[default]
    English,
    /// Russian, the default of amoCRM's accounts.
    Russian,
}

/// The code is not that of a supported language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown language `{0}` (expected one of: en, ru)")]
pub struct UnknownLanguage(String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        match code {
            "en" => Ok(Self::English),
            "ru" => Ok(Self::Russian),
            other => Err(UnknownLanguage(other.chars().take(40).collect())),
        }
    }
}

/// The texts with a Russian translation. Kommo leaves the others in English.
const RUSSIAN: [(&str, &str); 11] = [
    ("Bad Request", "Некорректный запрос"),
    ("Payment Required", "Оплата необходима"),
    ("Not Found", "Не найдено"),
    ("Wrong login or password", "Неверный логин или пароль"),
    ("The account is not paid for", "Аккаунт не оплачен"),
    ("Insufficient rights", "Недостаточно прав"),
    ("Too many requests per second", "Превышено количество запросов в секунду"),
    (
        "This value is too long. It should have 80 characters or less.",
        "Значение слишком длинное. Должно быть равно 80 символам или меньше.",
    ),
    ("The value you selected is not a valid choice.", "Выбранное Вами значение недопустимо."),
    ("This field is missing.", "Отсутствует поле."),
    (
        "Parameters are missing from the request, or are invalid",
        "В запросе отсутствует ряд параметров или параметры невалидны",
    ),
];

impl Language {
    /// Translates a problem document into this language; returns other responses unchanged.
    pub(super) async fn translate(self, answer: Answer) -> Answer {
        let is_problem =
            answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
        if self == Self::English || !is_problem {
            return answer;
        }
        let (head, body) = answer.into_parts();
        let Ok(body) = body.collect().await;
        let bytes = body.to_bytes();
        let translated = match serde_json::from_slice::<Value>(&bytes) {
            Ok(mut problem) => {
                replace(&mut problem);
                Bytes::from(problem.to_string())
            }
            Err(_) => bytes,
        };
        Answer::from_parts(head, Full::new(translated))
    }
}

/// Replaces every text that has a Russian translation.
fn replace(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((_, russian)) = RUSSIAN.iter().find(|(english, _)| english == text) {
                *text = (*russian).to_owned();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(replace),
        Value::Object(fields) => fields.values_mut().for_each(replace),
        _ => {}
    }
}
