//! The lines that a person types, or that a file or `--message` holds.

use std::fs;
use std::io::{self, BufRead};
use std::path::Path;
use std::thread;

use serde_json::{Value, json};
use tokio::sync::mpsc;

/// The meaning of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// A bot sends this data.
    Send(Value),
    /// The last request again, as a new bot.
    Replay,
    /// The last request and its completion.
    Data,
    /// The bots now talk about this lead.
    Lead(u32),
    Help,
    Quit,
    /// Nothing.
    Blank,
}

/// The text of `/help`.
pub(super) const HELP: &str = "\
A line is a message: a bot sends it to the handler as {\"message\": LINE}.
A line that begins with { is the whole data, as JSON. A line that begins with // is a message with one /.
  /replay  (/r)  send the last request again, as a new bot
  /data          show the last request in full, and what the bot got
  /lead N        talk about lead N: another conversation
  /quit          end, like Ctrl-D and Ctrl-C";

/// Reads a line.
///
/// # Errors
/// It is not a valid command or not valid JSON. Nothing must be sent.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("//") {
        return Ok(message(&format!("/{rest}")));
    }
    let Some(command) = line.strip_prefix('/') else { return data(line) };
    let mut words = command.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("replay" | "r"), None, _) => Ok(Line::Replay),
        (Some("data"), None, _) => Ok(Line::Data),
        (Some("help" | "?"), None, _) => Ok(Line::Help),
        (Some("quit" | "q"), None, _) => Ok(Line::Quit),
        (Some("lead"), Some(number), None) => match number.parse() {
            Ok(lead @ 1..) => Ok(Line::Lead(lead)),
            _ => Err(format!("`{number}` is not the number of a lead: write /lead 1002, for example")),
        },
        (Some("lead"), ..) => Err("/lead needs one number: write /lead 1002, for example".to_owned()),
        _ => Err(format!(
            "unknown command `{line}` (expected one of: /replay, /data, /lead N, /help, /quit); to send it as a message, \
             write /{line}"
        )),
    }
}

/// Reads a line that is not a command: a message, or a JSON object.
///
/// # Errors
/// It begins like a JSON object, but is not valid JSON.
pub(super) fn data(line: &str) -> Result<Line, String> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(Line::Blank);
    }
    if !line.starts_with('{') {
        return Ok(message(line));
    }
    serde_json::from_str(line).map(Line::Send).map_err(|error| {
        format!("a line that begins with {{ must be one JSON object: {error}; nothing was sent")
    })
}

fn message(text: &str) -> Line {
    Line::Send(json!({ "message": text }))
}

/// Where the lines come from.
#[derive(Debug)]
pub(super) enum Input {
    /// A person who types.
    Terminal,
    /// The standard input, which is not a terminal.
    Pipe,
    /// Lines that are known before the start.
    Known(Vec<Line>),
}

impl Input {
    /// Chooses the input: `messages`, else `file`, else the standard input.
    ///
    /// # Errors
    /// The file cannot be read, or a line is wrong. The text names the line.
    pub(super) fn open(messages: &[String], file: Option<&Path>, is_terminal: bool) -> Result<Self, String> {
        if !messages.is_empty() {
            let lines = messages.iter().map(|text| data(text).map_err(|why| format!("--message: {why}")));
            return Ok(Self::Known(lines.collect::<Result<_, _>>()?));
        }
        match file {
            Some(file) if file != Path::new("-") => {
                let text = fs::read_to_string(file)
                    .map_err(|error| format!("--file: cannot read {}: {error}", file.display()))?;
                let line = |(at, line)| {
                    parse(line).map_err(|why| format!("--file: {}:{}: {why}", file.display(), at + 1))
                };
                Ok(Self::Known(text.lines().enumerate().map(line).collect::<Result<_, _>>()?))
            }
            None if is_terminal => Ok(Self::Terminal),
            _ => Ok(Self::Pipe),
        }
    }

    /// Whether a person types the lines.
    pub(super) const fn is_interactive(&self) -> bool {
        matches!(self, Self::Terminal)
    }

    /// Starts to read. A line of the standard input is read on a thread of its own, because a read cannot be cancelled.
    ///
    /// # Errors
    /// The system cannot create the thread.
    pub(super) fn read(self) -> io::Result<mpsc::Receiver<Result<Line, String>>> {
        let (lines, receiver) = mpsc::channel(1);
        let is_pipe = matches!(self, Self::Pipe);
        let read = move || match self {
            Self::Known(known) => {
                let _receiver_is_gone = known.into_iter().try_for_each(|line| lines.blocking_send(Ok(line)));
            }
            Self::Terminal | Self::Pipe => {
                for (at, line) in io::stdin().lock().lines().enumerate() {
                    let place =
                        if is_pipe { format!("line {} of the input: ", at + 1) } else { String::new() };
                    let line = line.map_err(|error| error.to_string()).and_then(|line| parse(&line));
                    if lines.blocking_send(line.map_err(|why| format!("{place}{why}"))).is_err() {
                        return;
                    }
                }
            }
        };
        thread::Builder::new().name("input".to_owned()).spawn(read)?;
        Ok(receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_json_or_a_command() {
        for (line, expected) in [
            ("hi", message("hi")),
            ("  hi there ", message("hi there")),
            ("", Line::Blank),
            ("   ", Line::Blank),
            (r#"{"message":"hi","n":1}"#, Line::Send(json!({ "message": "hi", "n": 1 }))),
            ("{}", Line::Send(json!({}))),
            ("[1]", message("[1]")),
            ("//start", message("/start")),
            ("/replay", Line::Replay),
            ("/r", Line::Replay),
            ("/data", Line::Data),
            ("/lead 7", Line::Lead(7)),
            ("/help", Line::Help),
            ("/?", Line::Help),
            ("/quit", Line::Quit),
            ("/q", Line::Quit),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn a_wrong_line_sends_nothing_and_says_why() {
        for (line, part) in [
            ("{\"message\": ", "must be one JSON object"),
            ("{} {}", "must be one JSON object"),
            ("/start", "write //start"),
            ("/", "unknown command"),
            ("/replay 2", "unknown command"),
            ("/lead", "needs one number"),
            ("/lead x", "`x` is not the number of a lead"),
            ("/lead 0", "`0` is not the number of a lead"),
            ("/lead 1 2", "needs one number"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line:?}: {error}");
        }
    }

    #[test]
    fn a_message_of_the_command_line_is_never_a_command() {
        assert_eq!(data("/quit"), Ok(message("/quit")));
        let error = Input::open(&["{".to_owned()], None, true).unwrap_err();
        assert!(error.starts_with("--message: "), "{error}");
    }

    #[test]
    fn a_wrong_line_of_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("messages.txt");
        fs::write(&file, "hi\n\n{\"a\"\n").unwrap();
        let error = Input::open(&[], Some(&file), true).unwrap_err();
        assert!(error.contains("messages.txt:3: "), "{error}");
        let missing = Input::open(&[], Some(&folder.path().join("none")), true).unwrap_err();
        assert!(missing.starts_with("--file: cannot read "), "{missing}");
    }

    #[test]
    fn the_standard_input_is_a_pipe_unless_a_person_types() {
        let open = |file, is_terminal| Input::open(&[], file, is_terminal).unwrap();
        assert!(open(None, true).is_interactive());
        assert!(!open(None, false).is_interactive());
        assert!(matches!(open(Some(Path::new("-")), true), Input::Pipe));
    }
}
