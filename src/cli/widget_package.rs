//! `widget-package`: writes the `widget.zip` that an operator uploads to Kommo.
//!
//! The output is always a whole package: the command writes a temporary file beside it, reads that back, checks it, and only
//! then renames it.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ArgGroup;

use crate::config::Config;
use model::HandlerName;
use widget_package::{Draft, Mistake, Mistakes, Spec, Version, check, files, pack, version_of};

use super::exit::{Failure, complain};
use super::widget_package_text::Written;

/// The largest logo file, in bytes.
const MAX_LOGO_BYTES: u64 = 32 * 1024 * 1024;

/// The arguments of `widget-package`: the widget, and the file to write.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("called").args(["url", "handler"]).required(true)))]
pub struct Args {
    /// The URL that the block calls: https://HOST/widget_request/HANDLER
    #[arg(long)]
    url: Option<String>,
    /// The handler that the block calls, at server.public_url of the configuration
    #[arg(long, value_name = "NAME")]
    handler: Option<HandlerName>,
    /// The widget's name in Kommo, 1 to 60 characters [default: the handler's name]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The text on the integration's page, 1 to 2000 characters [default: a sentence in each language]
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A short form of the description, 1 to 200 characters [default: a sentence in each language]
    #[arg(long, value_name = "TEXT")]
    short_description: Option<String>,
    /// The e-mail address where users of the widget get help
    #[arg(long, value_name = "ADDRESS")]
    support_email: Option<String>,
    /// The page where users of the widget find help [default: the bridge's address]
    #[arg(long, value_name = "LINK")]
    support_link: Option<String>,
    /// A language of the widget: en, es, pt, tr, id or ru; repeatable [default: all except ru]
    #[arg(long = "locale", value_name = "CODE")]
    locales: Vec<String>,
    /// A field that the block sends, like lead.id={{lead.id}}; up to 50. The bot designer shows KEY:numeric=… and
    /// KEY:url=… as fields of that type [default: message={{message_text}}]
    #[arg(long = "field", value_name = "KEY=VALUE")]
    fields: Vec<String>,
    /// An exit of the block in addition to success, superseded and fail, or another title for one of these; up to 20
    #[arg(long = "exit", value_name = "CODE=TITLE")]
    exits: Vec<String>,
    /// The version, like 1.2.3; each upload needs a higher one [default: 1.0.0]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// A PNG or JPEG of at most 32 MiB, which is scaled to each size [default: a drawn logo]
    #[arg(long, value_name = "FILE")]
    logo: Option<PathBuf>,
    /// The file to write
    #[arg(long, short, value_name = "FILE", default_value = "widget.zip")]
    output: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Allow http, IP addresses and private hosts, for use with `simulate`: Kommo cannot call them
    #[arg(long)]
    insecure: bool,
}

/// Writes the package. Returns the text for stdout: what the package contains, and the next steps. Calls `config` only for
/// `--handler`.
///
/// # Errors
/// The options are wrong (exit status 2; the error lists every mistake), or the file cannot be written (1).
pub(super) fn run(
    args: Args,
    config: impl FnOnce() -> Result<Config, Failure>,
    json: bool,
) -> Result<String, Failure> {
    let Args { output, force, insecure, .. } = &args;
    let (output, force, insecure) = (output.clone(), *force, *insecure);
    let mut mistakes = Vec::new();
    if fs::metadata(&output).is_ok_and(|there| !there.is_file()) {
        // Replacing a device with a file would take the device away from the whole system.
        let message =
            format!("{} is not a regular file and cannot be replaced: choose another name", output.display());
        mistakes.push(Mistake { about: "output", message });
    } else if !force && output.symlink_metadata().is_ok() {
        mistakes.push(exists(&output));
    }
    let public_url = match &args.handler {
        Some(_) => config()?.server.public_url,
        None => None,
    };
    let spec = check_args(args, public_url.as_ref().map(url::Url::as_str), mistakes).map_err(usage)?;

    let earlier = fs::read(&output).ok().and_then(|bytes| version_of(&bytes));
    let files = files(&spec).map_err(|error| Failure::running(error.to_string()))?;
    let bytes = pack(&files).map_err(|error| Failure::running(error.to_string()))?;
    write(&output, &bytes, force)?;
    let written = Written { spec: &spec, output: &output, bytes: bytes.len(), files: &files, insecure };
    if let Some(advice) = earlier.and_then(|earlier| advice(earlier, spec.version())) {
        // Only advice: the command succeeds even if stderr cannot be written.
        complain(&advice);
    }
    Ok(if json { format!("{:#}", written.json()) } else { written.text() })
}

/// Checks the options. Adds every mistake in them to `mistakes`.
fn check_args(args: Args, public_url: Option<&str>, mut mistakes: Vec<Mistake>) -> Result<Spec, Mistakes> {
    let mut unknown_url = false;
    let url = match (args.url, args.handler, public_url) {
        (Some(url), ..) => url,
        (None, Some(handler), Some(public)) => {
            format!("{}/widget_request/{handler}", public.trim_end_matches('/'))
        }
        (None, ..) => {
            unknown_url = true;
            let message =
                "needs server.public_url in the configuration: set it, or write the whole URL with --url";
            mistakes.push(Mistake { about: "handler", message: message.to_owned() });
            String::new()
        }
    };
    let logo = args.logo.and_then(|file| match read_logo(&file) {
        Ok(bytes) if bytes.len() as u64 > MAX_LOGO_BYTES => {
            let message =
                format!("{} is larger than {} MiB: make it smaller", file.display(), MAX_LOGO_BYTES >> 20);
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
            // The missing URL is already reported.
            mistakes.extend(more.into_iter().filter(|mistake| !(unknown_url && mistake.about == "url")));
            Err(Mistakes(mistakes))
        }
    }
}

/// Reads a logo, and at most one byte more than it may have: some files never end.
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
    let message =
        format!("{} already exists: choose another name, or replace it with --force", output.display());
    Mistake { about: "output", message }
}

fn write(output: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    let folder = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || format!("cannot write {}", output.display());
    let mut temporary = temporary_file(folder).with_context(cannot)?;
    temporary.write_all(bytes).and_then(|()| temporary.as_file().sync_all()).with_context(cannot)?;
    let findings = check(&fs::read(temporary.path()).with_context(cannot)?);
    if !findings.is_empty() {
        let lines: Vec<String> = findings.iter().map(|finding| format!("\n  {finding}")).collect();
        return Err(Failure::running(format!(
            "nothing was written, because Kommo would refuse the package; please report this bug:{}",
            lines.concat()
        )));
    }
    let named = if force { temporary.persist(output) } else { temporary.persist_noclobber(output) };
    match named {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(usage(Mistakes(vec![exists(output)])))
        }
        Err(error) => Err(anyhow::Error::from(error.error).context(cannot()).into()),
    }
}

/// A temporary file with the permissions of an ordinary file. By default, temporary files are private.
fn temporary_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".widget-").suffix(".zip");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Advice if the version is not higher than the one of the replaced package.
fn advice(earlier: Version, version: Version) -> Option<String> {
    let next = earlier.next()?;
    (earlier >= version).then(|| {
        format!(
            "the replaced package had version {earlier}, and Kommo accepts only a higher one: if you uploaded it, use \
             --version {next}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_not_higher_gets_advice() {
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
