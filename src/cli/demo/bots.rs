//! The bots of the demo, and the faults that they meet.

use serde_json::json;

use simulator::{BodyStyle, BotType, Fault, Plan};

/// The plan of bot `number`. Every other bot meets no fault; the rest meet each kind of fault in turn.
pub(super) fn plan(number: u32) -> Plan {
    let data =
        json!({ "message": format!("hello from bot {}", number + 1), "lead": { "id": 31_000_000 + number } });
    let body = match number % 4 {
        1 => BodyStyle::FormPlain,
        2 => BodyStyle::FormJsonData,
        3 => BodyStyle::Json,
        _ => BodyStyle::Form,
    };
    let bot_type = if number % 5 == 4 { BotType::Marketingbot } else { BotType::Salesbot };
    Plan { body, bot_type, ..Plan::with_data(data) }.faults(faults(number))
}

fn faults(number: u32) -> Vec<Fault> {
    let turn = match number % 2 {
        0 => return Vec::new(),
        _ => number / 2 % 10,
    };
    match turn {
        0 => vec![Fault::Status(500)],
        1 => vec![Fault::Hang],
        2 => vec![Fault::Reset],
        3 => vec![Fault::AnswerLost],
        4 => vec![Fault::TooManyRequests { header: Some(1), body: None }],
        5 => vec![Fault::Status(503), Fault::Status(504)],
        6 => vec![Fault::Redirect("https://example.org/".to_owned())],
        7 => vec![Fault::TooManyRequests { header: None, body: Some(1) }],
        8 => vec![Fault::Garbage],
        _ => vec![Fault::Status(408)],
    }
}
