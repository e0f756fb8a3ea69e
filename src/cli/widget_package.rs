//! `widget-package`: writes the `widget.zip` that is uploaded to Kommo.
//!
//! What is under the output's name is always a whole package: it is written beside it, read back, checked, and
//! only then given the name.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::config::Config;
use model::HandlerName;
use widget_package::{Draft, Mistake, Mistakes, Spec, Version, check, files, pack, version_of};

use super::exit::{Failure, complain};
use super::widget_package_text::Written;

/// The largest file that is read as a logo, in bytes.
const MAX_LOGO_BYTES: u64 = 32 * 1024 * 1024;

/// Describes a widget, and says where to write it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the block calls: `https://HOST/widget_request/HANDLER`
    #[arg(long, required_unless_present = "handler", conflicts_with = "handler")]
    url: Option<String>,
    /// Instead of --url: this handler, at server.public_url of the configuration
    #[arg(long, value_name = "NAME")]
    handler: Option<HandlerName>,
    /// What people see in Kommo [default: the handler's name]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// What the integration's page says [default: a sentence in each language]
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The same in few words [default: a sentence in each language]
    #[arg(long, value_name = "TEXT")]
    short_description: Option<String>,
    /// Whom users of the widget can write to
    #[arg(long, value_name = "ADDRESS")]
    support_email: Option<String>,
    /// Where they find help [default: the bridge's address]
    #[arg(long, value_name = "LINK")]
    support_link: Option<String>,
    /// A language, once for each: en, es, pt, tr, id, ru [default: all of Kommo, that is all but ru]
    #[arg(long = "locale", value_name = "CODE")]
    locales: Vec<String>,
    /// A field to send, once for each: lead.id={{lead.id}}; KEY:numeric=… and KEY:url=… offer such fields in
    /// the bot designer [default: message={{message_text}}]
    #[arg(long = "field", value_name = "KEY=VALUE")]
    fields: Vec<String>,
    /// An exit for a status beside success and fail, once for each; or another title for one of these
    #[arg(long = "exit", value_name = "CODE=TITLE")]
    exits: Vec<String>,
    /// Has to rise with each upload [default: 1.0.0]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// A PNG or JPEG; it is fitted into each size [default: one is drawn]
    #[arg(long, value_name = "FILE")]
    logo: Option<PathBuf>,
    /// Where to write it
    #[arg(long, short, value_name = "FILE", default_value = "widget.zip")]
    output: PathBuf,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    /// Allow http, IP addresses and private hosts: for `simulate`, Kommo cannot call them
    #[arg(long)]
    insecure: bool,
}

/// Writes the package and says what is in it and what comes next: the text for stdout. `config` is asked only for
/// `--handler`.
///
/// # Errors
/// All mistakes of usage together (exit status 2), or the file cannot be written (1).
pub(super) fn run(
    args: Args,
    config: impl FnOnce() -> Result<Config, Failure>,
    json: bool,
) -> Result<String, Failure> {
    let Args { output, force, insecure, .. } = &args;
    let (output, force, insecure) = (output.clone(), *force, *insecure);
    let mut mistakes = Vec::new();
    if fs::metadata(&output).is_ok_and(|there| !there.is_file()) {
        // A device that is replaced by a file is gone for everybody.
        let message = format!("{} is no file, and cannot be replaced: choose another name", output.display());
        mistakes.push(Mistake { about: "output", message });
    } else if !force && output.symlink_metadata().is_ok() {
        mistakes.push(exists(&output));
    }
    let public_url = match &args.handler {
        Some(_) => config()?.server.public_url,
        None => None,
    };
    let spec = described(args, public_url.as_ref().map(url::Url::as_str), mistakes).map_err(usage)?;

    let earlier = fs::read(&output).ok().and_then(|bytes| version_of(&bytes));
    let files = files(&spec).map_err(|error| Failure::running(error.to_string()))?;
    let bytes = pack(&files).map_err(|error| Failure::running(error.to_string()))?;
    write(&output, &bytes, force)?;
    let written = Written { spec: &spec, output: &output, bytes: bytes.len(), files: &files, insecure };
    if let Some(advice) = earlier.and_then(|earlier| advice(earlier, spec.version())) {
        // It is only advice: nobody has to hear it.
        complain(&advice);
    }
    Ok(if json { format!("{:#}", written.json()) } else { written.text() })
}

/// The package that the options describe, or what is wrong with them beside `mistakes`.
fn described(args: Args, public_url: Option<&str>, mut mistakes: Vec<Mistake>) -> Result<Spec, Mistakes> {
    let mut unknown_url = false;
    let url = match (args.url, args.handler, public_url) {
        (Some(url), ..) => url,
        (None, Some(handler), Some(public)) => {
            format!("{}/widget_request/{handler}", public.trim_end_matches('/'))
        }
        (None, ..) => {
            unknown_url = true;
            let message =
                "needs server.public_url in the configuration; or give the whole address with --url";
            mistakes.push(Mistake { about: "handler", message: message.to_owned() });
            String::new()
        }
    };
    let logo = args.logo.and_then(|file| match read_logo(&file) {
        Ok(bytes) if bytes.len() as u64 > MAX_LOGO_BYTES => {
            let message =
                format!("{} has more than {} MiB: make it smaller", file.display(), MAX_LOGO_BYTES >> 20);
            mistakes.push(Mistake { about: "logo", message });
            None
        }
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("{} cannot be read: {error}", file.display());
            mistakes.push(Mistake { about: "logo", message });
            None
        }
    });
    let draft = Draft {
        url,
        insecure: args.insecure,
        name: args.name,
        description: args.description,
        short_description: args.short_description,
        support_email: args.support_email,
        support_link: args.support_link,
        locales: args.locales,
        fields: args.fields,
        exits: args.exits,
        version: args.version,
        logo,
    };
    match draft.check() {
        Ok(spec) if mistakes.is_empty() => Ok(spec),
        Ok(_) => Err(Mistakes(mistakes)),
        Err(Mistakes(more)) => {
            // That an address is missing was said already.
            mistakes.extend(more.into_iter().filter(|mistake| !(unknown_url && mistake.about == "url")));
            Err(Mistakes(mistakes))
        }
    }
}

/// The file, as far as it can be a logo and one byte more: some files have no end.
fn read_logo(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(MAX_LOGO_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn usage(mistakes: Mistakes) -> Failure {
    let lines: Vec<String> = mistakes.0.iter().map(|mistake| format!("\n  {mistake}")).collect();
    Failure::usage(format!("nothing was written:{}", lines.concat()))
}

fn exists(output: &Path) -> Mistake {
    let message = format!("{} exists: choose another name, or replace it with --force", output.display());
    Mistake { about: "output", message }
}

fn write(output: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    let folder = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || format!("cannot write {}", output.display());
    let mut beside = beside(folder).with_context(cannot)?;
    beside.write_all(bytes).and_then(|()| beside.as_file().sync_all()).with_context(cannot)?;
    let findings = check(&fs::read(beside.path()).with_context(cannot)?);
    if !findings.is_empty() {
        let lines: Vec<String> = findings.iter().map(|finding| format!("\n  {finding}")).collect();
        return Err(Failure::running(format!(
            "nothing was written, because Kommo would not take the package; please report this:{}",
            lines.concat()
        )));
    }
    let named = if force { beside.persist(output) } else { beside.persist_noclobber(output) };
    match named {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(usage(Mistakes(vec![exists(output)])))
        }
        Err(error) => Err(anyhow::Error::from(error.error).context(cannot()).into()),
    }
}

/// A file that others may read, as far as the process's mask allows: a temporary one is private otherwise.
fn beside(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".widget-").suffix(".zip");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// What to say if the package that was replaced is not older.
fn advice(earlier: Version, version: Version) -> Option<String> {
    let next = earlier.next()?;
    (earlier >= version).then(|| {
        format!(
            "the package that was replaced had version {earlier}: Kommo takes only a higher one, so if that was \
             uploaded, give --version {next}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_does_not_rise_gets_advice() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        for (earlier, now, next) in
            [("1.0.0", "1.0.0", Some("1.0.1")), ("1.2.3", "1.0.9", Some("1.2.4")), ("1.0.0", "1.0.1", None)]
        {
            let advice = advice(version(earlier), version(now));
            let found = advice.as_deref().and_then(|text| text.rsplit(' ').next());
            assert_eq!(found, next, "{earlier} {now}");
        }
    }
}
