//! Answers to interactions: the first, what "is thinking…" becomes, and what follows; each only as long as Discord takes it.

use super::{
    Discord, WITHIN, rules,
    state::{APP, State},
    web::{Answered, Call, refuse},
};

pub fn answer(discord: &Discord, call: &Call) -> Answered {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    let mut state = discord.state();
    match (call.method.as_str(), path.as_slice()) {
        ("POST", ["interactions", id, token, "callback"]) => first(&mut state, id, token, call),
        ("PATCH", ["webhooks", APP, token, "messages", "@original"]) => original(&mut state, token, call),
        ("POST", ["webhooks", APP, token]) => following(&mut state, token, call),
        _ => refuse(404, 0, format!("no such thing: {} {}", call.method, call.path.join("/"))),
    }
}

fn first(state: &mut State, id: &str, token: &str, call: &Call) -> Answered {
    let unknown = || refuse(404, 10_062, "Unknown interaction");
    let Some(one) = state.interactions.get_mut(token).filter(|one| one.id == id) else { return unknown() };
    if one.first.is_some() {
        return refuse(400, 40_060, "Interaction has already been acknowledged.");
    }
    if one.at.elapsed() > WITHIN {
        return unknown();
    }
    if let Err(why) = rules::callback(&call.body) {
        return refuse(400, 50_035, why);
    }
    one.first = Some(call.body.clone());
    Ok(serde_json::Value::Null)
}

fn original(state: &mut State, token: &str, call: &Call) -> Answered {
    let Some(one) = state.interactions.get_mut(token) else { return refuse(404, 10_015, "Unknown Webhook") };
    if one.expired {
        return refuse(401, 50_027, "Invalid Webhook Token");
    }
    let shown = one.first.as_ref().is_some_and(|first| matches!(first["type"].as_u64(), Some(4 | 5)));
    if !shown {
        return refuse(404, 10_008, "Unknown Message");
    }
    if let Err(why) = rules::message(&call.body) {
        return refuse(400, 50_035, why);
    }
    one.original = Some(call.body.clone());
    Ok(serde_json::json!({ "id": "1" }))
}

fn following(state: &mut State, token: &str, call: &Call) -> Answered {
    let Some(one) = state.interactions.get_mut(token).filter(|one| one.first.is_some()) else {
        return refuse(404, 10_015, "Unknown Webhook");
    };
    if one.expired {
        return refuse(401, 50_027, "Invalid Webhook Token");
    }
    if let Err(why) = rules::message(&call.body) {
        return refuse(400, 50_035, why);
    }
    // Anything else would be seen by everybody.
    if call.body["flags"] != 64 {
        return refuse(400, 50_035, "flags: an answer is for one person");
    }
    one.private.push(call.body.clone());
    Ok(serde_json::json!({ "id": "1" }))
}
