use super::{SMALL, Secrets, problems, warnings};

/// `SMALL` with one line of the service put in front of `room`, or something else replaced.
fn with(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

fn plus(line: &str) -> String {
    with("room = \"terminal:\"", &format!("room = \"terminal:\"\n{line}"))
}

#[test]
fn each_mistake_has_its_message() {
    for (text, wanted) in [(with("traffic]", "trafic]"), "X")] {
        println!("{:#?}", (problems(&text), wanted));
    }
}
