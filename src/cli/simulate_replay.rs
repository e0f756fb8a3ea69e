//! `simulate --replay`: a bot of the simulator sends the request of a stored job again, to a bridge on this machine.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use crate::config::Config;
use model::clock::Clock;
use model::{EntityKind, HandlerName, JobPrefix, JobRecord, repaired_json};
use simulator::{BodyStyle, Bot, CallError, Continue, Plan, Simulator, TokenStyle};
use store::{Store, StoreError, StoreUrl};

use super::exit::{Failure, Usage, notice};

/// The time between two attempts to reach a bridge that does not run yet.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The largest file to replay. A request has up to 64 MiB, and the file may hold its data twice.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A request to send again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Replay {
    /// The handler that it named.
    pub(super) handler: HandlerName,
    /// Kommo's code and the number of its entity; `None` if it had none.
    entity: Option<(i64, i64)>,
    /// What the widget sent. Its numbers have the digits that were received.
    data: Value,
}

impl Replay {
    /// Reads the job that `--replay` names: by its id, or the beginning of it, in the store of the configuration; or in a
    /// file, as `jobs show --json` and the API write it. `config` loads the configuration if it is needed.
    ///
    /// # Errors
    /// There is no such job or file, or the job no longer has its data.
    pub(super) async fn read(
        what: &str,
        config: impl FnOnce() -> Result<Config, Failure>,
    ) -> Result<Self, Failure> {
        match what.parse::<JobPrefix>() {
            Ok(prefix) => Ok(Self::of_store(&config()?.store.url, prefix).await?),
            Err(_) => Ok(Self::of_file(Path::new(what))?),
        }
    }

    async fn of_store(url: &StoreUrl, prefix: JobPrefix) -> anyhow::Result<Self> {
        let store = Store::observe(url, Clock::system()).await?.with_context(|| {
            format!("there is no store at {url}: set --config, or give --replay a file that `jobs show --json` wrote")
        })?;
        let found = Self::find(&store, prefix).await;
        store.close().await;
        found
    }

    async fn find(store: &Store, prefix: JobPrefix) -> anyhow::Result<Self> {
        let id = store.jobs().find(prefix).await?;
        match store.jobs().get(id).await?.ok_or(StoreError::NoJob(id))? {
            (JobRecord::WithoutBodies(_), _) => {
                bail!("job {id} no longer has its data, so it cannot be replayed")
            }
            (JobRecord::Whole(job), _) => Ok(Self {
                handler: job.handler,
                entity: job.request.entity.map(|entity| (entity.kind.code(), entity.id)),
                data: job.request.data,
            }),
        }
    }

    fn of_file(path: &Path) -> anyhow::Result<Self> {
        let refused = |why: &str| {
            Usage(format!(
                "--replay {}: {why}; expected the id of a job, or a file that `jobs show --json` wrote",
                path.display()
            ))
        };
        let cannot = |error: io::Error| refused(&paths::cannot(path, "read", &error));
        // Opening a pipe would wait for its other end, and a device may never end.
        if !std::fs::metadata(path).map_err(cannot)?.is_file() {
            return Err(refused("it is not a regular file").into());
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(cannot)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
            return Err(refused(&format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20)).into());
        }
        let mut job: Value = serde_json::from_str(&repaired_json(&bytes))
            .map_err(|error| refused(&format!("it is not JSON: {error}")))?;
        let handler = job["handler"].as_str().and_then(|name| name.parse().ok());
        let handler = handler.ok_or_else(|| refused("it has no `handler`"))?;
        if job.get("data").is_none() || job["bodies_dropped"] == true {
            return Err(refused("it has no `data`").into());
        }
        let entity = job["entity_type"].as_i64().zip(job["entity_id"].as_i64());
        Ok(Self { handler, entity, data: job["data"].take() })
    }

    /// Starts the bot.
    fn bot(&self, simulator: &Simulator) -> Bot {
        let mut claims = Map::new();
        if let Some((kind, id)) = self.entity {
            claims.insert("entity_type".to_owned(), kind.to_string().into());
            claims.insert("entity_id".to_owned(), id.to_string().into());
        }
        let token = TokenStyle { claims, ..TokenStyle::default() };
        // Unlike a form, JSON keeps the type of each value.
        simulator.bot(Plan { token, body: BodyStyle::Json, ..Plan::with_data(self.data.clone()) })
    }

    /// What is sent, in words.
    fn words(&self) -> String {
        let about = match self.entity {
            None => String::new(),
            Some((kind, id)) => match EntityKind::from_code(kind) {
                EntityKind::Contact => format!(" of contact {id}"),
                EntityKind::Customer => format!(" of customer {id}"),
                EntityKind::Lead => format!(" of lead {id}"),
                EntityKind::Other(_) => format!(" of entity {id}"),
            },
        };
        format!("the request{about} to handler {}", self.handler)
    }

    /// Sends the request to the bridge at `url`, as soon as it runs, and waits for the continue. Reports on stderr. Returns
    /// what the bot got; `None` if the bridge did not accept the request.
    pub(super) async fn play(&self, simulator: &Simulator, url: &str) -> Option<Continue> {
        let bot = self.bot(simulator);
        let address = format!("{url}/widget_request/{}", self.handler);
        let mut is_reported = false;
        let ack = loop {
            match bot.call(&address).await {
                Err(CallError::Unreachable(_)) => {
                    if !is_reported {
                        notice(&format!("replay: waits for a bridge at {url}"));
                    }
                    is_reported = true;
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                answered => break answered,
            }
        };
        match ack {
            Ok(ack) if ack.status == 200 => {
                notice(&format!("replay: sent {}; the bridge accepted it", self.words()));
            }
            Ok(ack) => {
                let body = ack.json();
                let why = body["detail"].as_str().unwrap_or("no reason given").to_owned();
                notice(&format!(
                    "replay: the bridge at {url} refused the request with {}: {why} Does it run with the printed \
                     configuration?",
                    ack.status
                ));
                return None;
            }
            Err(error) => {
                notice(&format!("replay: {error}"));
                return None;
            }
        }
        Some(bot.continued().await)
    }
}

/// What the bot got, for people.
pub(super) fn text(got: &Continue) -> String {
    let whole = value(got);
    let pretty = serde_json::to_string_pretty(&whole).unwrap_or_else(|_| whole.to_string());
    format!("replay: the bot was continued with\n{pretty}")
}

/// What the bot got, for programs.
pub(super) fn value(got: &Continue) -> Value {
    match &got.execute_handlers {
        Some(handlers) => json!({ "data": got.data, "execute_handlers": handlers }),
        None => json!({ "data": got.data }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fixture::Jobs;

    fn no_config() -> Result<Config, Failure> {
        panic!("a file needs no configuration")
    }

    #[tokio::test]
    async fn a_job_is_read_from_the_store_by_the_beginning_of_its_id() {
        let jobs = Jobs::new().await;
        let exact: Value = serde_json::from_str(r#"{"n":9007199254740993,"m":0.1}"#).unwrap();
        let id = jobs.make_dead(exact.clone(), "504", 1).await;
        let expected = Replay { handler: "echo".parse().unwrap(), entity: Some((2, 7)), data: exact };
        for given in [id.to_string(), id.to_string()[..13].to_owned()] {
            assert_eq!(
                Replay::of_store(&jobs.url.as_str().into(), given.parse().unwrap()).await.unwrap(),
                expected
            );
        }
        let unknown = "ffff".parse().unwrap();
        let why = Replay::of_store(&jobs.url.as_str().into(), unknown).await.unwrap_err().to_string();
        assert!(why.contains("no job has an id that begins with ffff"), "{why}");
        let nowhere = jobs.url.replace("bridge.db", "other.db");
        let why = Replay::of_store(&nowhere.as_str().into(), unknown).await.unwrap_err().to_string();
        assert!(why.contains("there is no store at") && why.contains("--config"), "{why}");
    }

    #[tokio::test]
    async fn a_job_is_read_from_a_file_without_losing_a_digit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job.json");
        for (text, expected) in [
            (
                r#"{"handler":"greet","data":{"n":9007199254740993},"entity_type":1,"entity_id":5}"#,
                Ok("9007199254740993"),
            ),
            (r#"{"handler":"greet","data":{"n":123456789012345678901}}"#, Ok("123456789012345678901")),
            (r#"{"handler":"greet","data":null,"bodies_dropped":true}"#, Err("no `data`")),
            (r#"{"handler":"greet"}"#, Err("no `data`")),
            (r#"{"handler":"a/b","data":{}}"#, Err("no `handler`")),
            ("x", Err("not JSON")),
        ] {
            std::fs::write(&file, text).unwrap();
            let read = Replay::of_file(&file);
            match expected {
                Ok(digits) => assert!(read.unwrap().data.to_string().contains(digits), "{text}"),
                Err(why) => {
                    let error = read.unwrap_err();
                    assert!(error.is::<Usage>() && error.to_string().contains(why), "{text}: {error}");
                }
            }
        }
        for special in ["/dev/zero", folder.path().to_str().unwrap()] {
            let error = Replay::of_file(Path::new(special)).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains("not a regular file"), "{error}");
        }
        let large = folder.path().join("large.json");
        File::create(&large).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let error = Replay::of_file(&large).unwrap_err();
        assert!(error.to_string().contains("it is larger than 256 MiB"), "{error}");
        let missing = folder.path().join("none.json").display().to_string();
        assert!(Replay::read(&missing, no_config).await.is_err());
    }

    #[test]
    fn the_words_name_the_lead() {
        let replay = |entity| Replay { handler: "greet".parse().unwrap(), entity, data: Value::Null };
        assert_eq!(replay(Some((2, 7))).words(), "the request of lead 7 to handler greet");
        assert_eq!(replay(None).words(), "the request to handler greet");
    }
}
