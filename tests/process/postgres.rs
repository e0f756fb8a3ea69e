//! The real program with its store in PostgreSQL, on a private server. Without PostgreSQL these tests say so and test nothing.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use simulator::{Bot, Fault, Options, Plan, Simulator};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use store::postgres_testing::{Database, Server, ServerOptions};

use crate::home::Home;
use crate::process::{Ended, run};
use crate::serve::Serve;

/// A configuration whose `store.url_file` leads to a database.
struct OnPostgres {
    home: Home,
    simulator: Simulator,
    database: Database,
}

impl OnPostgres {
    async fn on(server: &Server) -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let home = Home::new(&simulator, "");
        let database = server.empty_database();
        let it = Self { home, simulator, database };
        it.set_url(it.database.url());
        it
    }

    /// Sets the address of the store.
    fn set_url(&self, url: &str) {
        fs::write(self.home.path("store.url"), format!("{url}\n")).unwrap();
    }

    /// A command of the real program. The variable replaces `store.url` of the file.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("BRIDGE_STORE__URL_FILE", self.home.path("store.url"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments))
    }

    fn serve(&self) -> Serve {
        Serve::start(self.command(&["serve"]))
    }

    /// Calls `serve` with a bot whose continues meet `faults`. Returns the bot and its job's id.
    async fn ask(&self, serve: &Serve, faults: Vec<Fault>) -> (Bot, String) {
        let bot = self.simulator.bot(Plan::with_data(json!({ "n": "1" })).faults(faults));
        let answer = bot.call(&serve.url("echo")).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let id = answer.json()["job_id"].as_str().unwrap().to_owned();
        (bot, id)
    }

    async fn sql(&self, sql: String) {
        let mut connection = PgConnection::connect(self.database.url()).await.unwrap();
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

/// The outcome and the finding of each check of the database.
fn of_database(report: &Value) -> Vec<(String, String)> {
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["name"] == "database");
    checks.map(|check| (text(check, "outcome"), text(check, "found"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_acknowledged_request_and_a_second_serve_names_the_owner() {
    let Some(server) = Server::shared() else { return };
    let it = OnPostgres::on(server).await;
    let serve = it.serve();
    let (bot, _) = it.ask(&serve, Vec::new()).await;
    assert_eq!(bot.continued().await.data["n"], "1");

    let second = it.run(&["serve"]).expect(2);
    let owner = format!("in use by process {}", serve.process.pid());
    assert!(second.err.contains(&owner) && second.err.contains("store.url"), "{}", second.err);

    it.simulator.set_outage(Some(Fault::Status(503)));
    let mut bots = Vec::new();
    for _ in 0..20 {
        bots.push(it.ask(&serve, Vec::new()).await.0);
    }
    serve.process.kill();
    it.simulator.set_outage(None);
    let serve = it.serve();
    for bot in &bots {
        assert_eq!(bot.continued().await.data["n"], "1");
    }
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, 21);
    serve.stop();
    let report = it.run(&["store", "check", "--json"]).expect(0).json();
    assert_eq!(report["problems"], json!([]), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_and_pages_work_on_a_database() {
    let Some(server) = Server::shared() else { return };
    let it = OnPostgres::on(server).await;
    assert!(it.run(&["store", "stats"]).expect(2).err.contains("contains no store: start `serve`"));
    let serve = it.serve();
    let (revived, dead) = it.ask(&serve, vec![Fault::Status(400), Fault::Status(400)]).await;
    serve.reaches("dead", 1).await;
    let listed = it.run(&["jobs", "list", "--state", "dead", "--json"]).expect(0).json();
    assert_eq!(listed["jobs"][0]["id"], dead.as_str(), "{listed}");
    let job = it.run(&["jobs", "show", &dead, "--json"]).expect(0).json();
    assert_eq!((&job["state"], &job["outcome"]), (&json!("dead"), &json!("fallback")));
    it.run(&["jobs", "retry", "--send", "handler", &dead]).expect(0);
    assert_eq!(revived.continued().await.data["n"], "1");
    serve.settled().await;

    let stats = it.run(&["store", "stats", "--json"]).expect(0).json();
    assert_eq!((&stats["jobs"]["delivered"], &stats["received_in_a_day"]), (&json!(1), &json!(1)), "{stats}");
    assert!(stats["database_bytes"].as_u64() > Some(1_000_000), "{stats}");
    let text = it.run(&["store", "stats"]).expect(0).out;
    assert!(text.contains("database ") && text.contains("dead rows"), "{text}");
    it.run(&["store", "check"]).expect(0);
    for (arguments, instead) in [
        (&["backup", "x.db"][..], "pg_dump"),
        (&["restore", "x.db"], "pg_restore"),
        (&["store", "vacuum"], "VACUUM"),
    ] {
        let refused = it.run(arguments).expect(2);
        assert!(refused.err.contains(instead) && refused.err.contains("postgres://"), "{}", refused.err);
    }

    let (status, store) = serve.get("/api/v1/store").await;
    assert_eq!((status, &store["path"]), (200, &Value::Null), "{store}");
    assert!(store["database"]["bytes"].as_u64() > Some(1_000_000), "{store}");
    let page = serve.client.get(format!("http://{}/store", serve.admin)).header("accept", "text/html").send();
    let page = page.await.unwrap().text().await.unwrap();
    assert!(page.contains("The database has") && page.contains("Dead rows"), "{page}");
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_reports_what_endangers_the_promise() {
    let settings = [("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let Some(server) = Server::start(&ServerOptions { with_tcp: false, settings }) else { return };
    let it = OnPostgres::on(&server).await;
    let serve = it.serve();
    let report = it.run(&["doctor", "--json"]).json();
    let found = of_database(&report);
    let has =
        |outcome: &str, part: &str| found.iter().any(|(its, text)| its == outcome && text.contains(part));
    assert!(has("ok", "PostgreSQL") && has("failed", "synchronous_commit is off"), "{found:?}");
    assert!(has("ok", "connections are open"), "{found:?}");
    let stores = report["checks"].as_array().unwrap().iter().filter(|check| check["name"] == "store");
    let stores: Vec<&Value> = stores.collect();
    assert!(
        stores.len() == 1 && stores[0]["found"].as_str().unwrap().contains("0 unfinished jobs"),
        "{stores:?}"
    );

    it.sql(format!("ALTER DATABASE {} SET synchronous_commit = on", it.database.name())).await;
    let found = of_database(&it.run(&["doctor", "--json"]).json());
    assert!(found.iter().all(|(outcome, _)| outcome == "ok"), "{found:?}");
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_and_never_shown() {
    let Some(server) = Server::start(&ServerOptions { with_tcp: true, ..ServerOptions::default() }) else {
        return;
    };
    let it = OnPostgres::on(&server).await;
    let name = it.database.name().to_owned();
    it.sql("CREATE ROLE app LOGIN PASSWORD 's3cret-of-app'".to_owned()).await;
    it.sql(format!("ALTER DATABASE {name} OWNER TO app")).await;
    let rules = "local all bridge trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(server.folder().unwrap().join("data/pg_hba.conf"), rules).unwrap();
    it.sql("SELECT pg_reload_conf()".to_owned()).await;

    let url =
        |password: &str| format!("postgres://app:{password}@127.0.0.1:{}/{name}", server.port().unwrap());
    it.set_url(&url("s3cret-but-wrong"));
    let shown = format!("postgres://127.0.0.1:{}/{name}", server.port().unwrap());
    let refused = it.run(&["serve"]).expect(2);
    assert!(
        refused.err.contains(&shown) && refused.err.contains("check user and password"),
        "{}",
        refused.err
    );
    for (arguments, status) in [
        (&["jobs", "list"][..], 1),
        (&["store", "stats"], 2),
        (&["doctor"], 1),
        (&["doctor", "--json"], 1),
        (&["config", "show"], 0),
    ] {
        let ended = it.run(arguments).expect(status);
        assert!(
            !format!("{}{}", ended.out, ended.err).contains("s3cret"),
            "{arguments:?}: {} {}",
            ended.out,
            ended.err
        );
    }

    it.set_url(&url("s3cret-of-app"));
    let serve = it.serve();
    let (bot, _) = it.ask(&serve, Vec::new()).await;
    bot.continued().await;
    for path in ["/api/v1/store", "/health/ready"] {
        let (_, body) = serve.get(path).await;
        assert!(!body.to_string().contains("s3cret"), "{path}: {body}");
    }
    for path in ["/store", "/settings", "/"] {
        let page =
            serve.client.get(format!("http://{}{path}", serve.admin)).header("accept", "text/html").send();
        let page = page.await.unwrap().text().await.unwrap();
        assert!(page.contains("<h1") && !page.contains("s3cret"), "{path}: {page}");
    }
    let ended = serve.stop();
    assert!(!ended.err.contains("s3cret"), "{}", ended.err);
}
