//! Tests of which answers come from options, from questions and from an earlier configuration.

use std::collections::VecDeque;

use super::super::ask::Accepts;
use super::*;

const ID: &str = "11111111-0c1e-4d57-8c6e-2f6f3f1f0d11";

/// Answers in order; a choice by the beginning of its label, and an empty text takes the default.
struct Script {
    answers: VecDeque<&'static str>,
    /// The options of the questions that were asked.
    asked: Vec<&'static str>,
}

impl Script {
    fn of(answers: &[&'static str]) -> Self {
        Self { answers: answers.iter().copied().collect(), asked: Vec::new() }
    }

    /// The next answer that `accepts` accepts.
    fn next(&mut self, question: Question, accepts: Accepts<'_>) -> io::Result<&'static str> {
        self.asked.push(question.name());
        loop {
            let answer = self.answers.pop_front().ok_or(io::ErrorKind::Interrupted)?;
            if answer.is_empty() || accepts(answer).is_ok() {
                return Ok(answer);
            }
        }
    }
}

impl Ask for Script {
    fn text(
        &mut self,
        question: Question,
        default: Option<&str>,
        accepts: Accepts<'_>,
    ) -> io::Result<String> {
        let answer = self.next(question, accepts)?;
        Ok(if answer.is_empty() { default.unwrap().to_owned() } else { answer.to_owned() })
    }

    fn secret(
        &mut self,
        question: Question,
        has_default: bool,
        accepts: Accepts<'_>,
    ) -> io::Result<Option<SecretString>> {
        let answer = self.next(question, accepts)?;
        assert!(has_default || !answer.is_empty());
        Ok(Some(answer).filter(|answer| !answer.is_empty()).map(SecretString::from))
    }

    fn choice(&mut self, question: Question, labels: &[String], default: usize) -> io::Result<usize> {
        let answer = self.next(question, &|_| Ok(()))?;
        Ok(labels.iter().position(|label| !answer.is_empty() && label.starts_with(answer)).unwrap_or(default))
    }

    fn confirm(&mut self, _: &str) -> io::Result<bool> {
        unreachable!("only replacing asks for this")
    }
}

fn everything() -> Given {
    Given {
        public_url: Some("https://bots.example.com".to_owned()),
        client_uuid: Some(ID.to_owned()),
        client_secret: Some("5c1a8e".into()),
        account: Some("https://shop.kommo.com".to_owned()),
        access_token: Some("7d2b9f".into()),
        ..Given::default()
    }
}

#[test]
fn every_question_has_an_option_and_options_are_not_asked() {
    let asked = |given: &Given, answers: &[&'static str], only_needed: bool| {
        let mut script = Script::of(answers);
        assert!(super::answers(given, &Earlier::default(), Some(&mut script), only_needed).is_ok());
        assert!(script.answers.is_empty(), "not asked: {:?}", script.answers);
        script.asked
    };
    let all = [
        "https://bots.example.com",
        "n8n",
        "",
        "https://n8n.example.com/webhook/kommo",
        ID,
        "5c1a8e",
        "token",
        "https://shop.kommo.com",
        "7d2b9f",
    ];
    let names = [
        "--public-url",
        "--kind",
        "--handler",
        "--handler-url",
        "--client-uuid",
        "--client-secret-file",
        "--connect",
        "--account",
        "--access-token-file",
    ];
    assert_eq!(asked(&Given::default(), &all, false), names);
    assert_eq!(asked(&everything(), &["echo", "", "token"], false), ["--kind", "--handler", "--connect"]);
    assert_eq!(asked(&everything(), &[], true), [""; 0]);
    let oauth = Given { connect: Some(Connect::Oauth), account: None, access_token: None, ..everything() };
    assert_eq!(asked(&oauth, &["rust", "hello"], false), ["--kind", "--handler"]);
}

#[test]
fn without_a_terminal_defaults_are_taken_and_all_other_answers_are_missing_at_once() {
    let missing = |given: &Given| match super::answers(given, &Earlier::default(), None, false) {
        Err(NoAnswers::Missing(questions)) => questions.iter().map(Question::name).collect::<Vec<_>>(),
        other => panic!("{:?}", other.err()),
    };
    assert_eq!(
        missing(&Given::default()),
        ["--public-url", "--client-uuid", "--client-secret-file", "--account", "--access-token-file"]
    );
    assert_eq!(missing(&Given { kind: Some(Kind::Http), ..everything() }), ["--handler-url"]);
    let answers = super::answers(&everything(), &Earlier::default(), None, false).ok().unwrap();
    assert_eq!((answers.kind, answers.handler.as_str()), (HandlerKind::Echo, "echo"));
    let url = Some("http://127.0.0.1:8000/".to_owned());
    let http = super::answers(&Given { handler_url: url, ..everything() }, &Earlier::default(), None, false);
    assert!(matches!(http.ok().unwrap().kind, HandlerKind::Http(_)), "the URL implies the kind");
}

#[test]
fn every_wrong_option_is_reported_before_a_question_is_asked() {
    let given = Given {
        public_url: Some("http://bots.example.com".to_owned()),
        kind: Some(Kind::Echo),
        handler_url: Some("http://127.0.0.1/".to_owned()),
        client_secret: Some("\"5c1a8e\"".into()),
        connect: Some(Connect::Oauth),
        account: Some("https://shop.kommo.com".to_owned()),
        ..Given::default()
    };
    let mut script = Script::of(&[]);
    let Err(NoAnswers::Wrong(wrong)) = super::answers(&given, &Earlier::default(), Some(&mut script), false)
    else {
        panic!("accepted")
    };
    let names: Vec<&str> = wrong.iter().filter_map(|why| why.split(':').next()).collect();
    assert_eq!(names, ["--public-url", "--handler-url", "--client-secret-file", "--account"], "{wrong:?}");
    assert!(script.asked.is_empty() && !wrong.concat().contains("5c1a8e"));
}

#[test]
fn a_question_is_repeated_until_its_answer_is_accepted_and_ctrl_c_ends_it() {
    let given = Given { public_url: None, kind: Some(Kind::Echo), ..everything() };
    let mut script = Script::of(&["http://bots.example.com", "bots.example.com", "", "token"]);
    let answers = super::answers(&given, &Earlier::default(), Some(&mut script), false).ok().unwrap();
    assert_eq!(answers.public_url.as_str(), "https://bots.example.com/");
    let mut none = Script::of(&[]);
    let stopped = super::answers(&given, &Earlier::default(), Some(&mut none), false);
    assert!(matches!(stopped, Err(NoAnswers::Terminal(error)) if error.kind() == io::ErrorKind::Interrupted));
}

#[test]
fn an_earlier_configuration_gives_the_defaults() {
    let config = crate::Config::from_toml(&format!(
        "server.public_url = \"https://bots.example.com\"\n\
         integrations.main = {{ client_uuid = \"{ID}\", client_secret = \"5c1a8e\" }}\n\
         accounts.shop = {{ base_url = \"https://shop.kommo.com\", access_token = \"7d2b9f\" }}\n\
         handlers.helper = {{ kind = \"http\", url = \"http://127.0.0.1:8000/\", auth = \"Bearer a\" }}\n"
    ))
    .unwrap();
    let earlier = Earlier::of(&config);
    let answers = super::answers(&Given::default(), &earlier, None, false).ok().unwrap();
    assert_eq!(answers.handler.as_str(), "helper");
    assert!(matches!(answers.kind, HandlerKind::N8n(_)), "a handler without signatures");
    assert_eq!(answers.client_secret.expose_secret(), "5c1a8e");
    assert!(matches!(answers.access, Access::Token(account) if account.token.expose_secret() == "7d2b9f"));
    let mut enter = Script::of(&[""; 9]);
    assert!(super::answers(&Given::default(), &earlier, Some(&mut enter), false).is_ok());
    assert!(enter.answers.is_empty(), "each question was asked, and Enter keeps each answer");
    let echo = Given { kind: Some(Kind::Echo), ..Given::default() };
    let answers = super::answers(&echo, &earlier, None, false).ok().unwrap();
    assert_eq!(answers.handler.as_str(), "echo", "the earlier name belongs to another kind");
}
