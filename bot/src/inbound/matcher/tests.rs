use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_alertmanager_takes_is_taken() {
    for (text, read) in [
        (r#"service="checkout""#, r#"service="checkout""#),
        ("service=checkout", r#"service="checkout""#),
        (
            r#" { service = "checkout" , severity =~ "page|critical" , } "#,
            r#"service="checkout" severity=~"page|critical""#,
        ),
        (r#"a!="b",c!~d"#, r#"a!="b" c!~"d""#),
        (r#"a="","#, r#"a="""#),
        (r#""service.name"="x y""#, r#""service.name"="x y""#),
        ("Προμηθεύς=🙂bar", r#""Προμηθεύς"="🙂bar""#),
        ("service.name=x", r#""service.name"="x""#),
        ("a=~[a-z]+", r#"a=~"[a-z]+""#),
        (r#"a="\xf0\x9f\x99\x82""#, r#"a="🙂""#),
        (r#"a="\U0001f642\u00e9""#, r#"a="🙂é""#),
        (r#"a="\"b\"\\\n\101""#, r#"a="\"b\"\\\nA""#),
        (r#"a=~"\\d+""#, r#"a=~"\\d+""#),
        ("{\n a = \"b\",\n}", r#"a="b""#),
        (r#"a="bar,baz}""#, r#"a="bar,baz}""#),
    ] {
        let matchers: Matchers = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let shown: Vec<_> = matchers.0.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(" "), read, "{text}");
    }
}

#[test]
fn what_it_refuses_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "no condition: write one like service=\"checkout\""),
        ("{}", "expected a label's name, found }"),
        (",", "expected a label's name, found a comma"),
        ("{,}", "expected a label's name, found a comma"),
        ("{", "expected a label's name, found the end"),
        ("service", "expected one of =, !=, =~, !~, found the end"),
        ("service=", "expected a value (an empty one is written \"\"), found the end"),
        ("a==b", "expected a value (an empty one is written \"\"), found ="),
        ("a=b}", "there is a closing brace and no opening one"),
        ("{a=b", "the closing brace is missing"),
        ("{{a=b}}", "expected a label's name, found {"),
        ("{a=b}}", "expected the end, found }"),
        ("{a=b}x", "expected the end, found \"x\""),
        ("a=b c=d", "expected a comma or the end, found \"c\""),
        (r#"a=:"b""#, "expected a comma or the end, found \"b\""),
        (r#"a="b"#, "the closing quote is missing"),
        (r#"a="b\"#, "the closing quote is missing"),
        (r#"a="b\w""#, "unknown escape \\w in quotes; a backslash itself is written \\\\"),
        (r#"a="\x4""#, "unknown escape \\x4 in quotes; a backslash itself is written \\\\"),
        (r#"a="\777""#, "unknown escape \\777 in quotes; a backslash itself is written \\\\"),
        (r#"a="\ud800""#, "unknown escape \\ud800 in quotes; a backslash itself is written \\\\"),
        (r#"a="\xf0\x9f""#, "escaped bytes are not UTF-8"),
        (r"a=b\n", "'\\\\' has a meaning of its own here: put the text in double quotes"),
        ("a='b'", "'\\'' has a meaning of its own here: put the text in double quotes"),
        ("a!b", "'!' has a meaning of its own here: put the text in double quotes"),
        (r#"""="b""#, "a label's name is empty"),
        (r#"a=~"(""#, "bad regular expression \"(\": unclosed group"),
        (r#"a=~"b)|(c""#, "bad regular expression \"b)|(c\": unopened group"),
    ] {
        assert_eq!(text.parse::<Matchers>().unwrap_err().to_string(), reason, "{text}");
    }
}

#[test]
fn the_meaning_is_alertmanagers() {
    let alert = labels(&[("service", "checkout"), ("severity", "page")]);
    for (text, matches) in [
        ("service=checkout", true),
        ("service=checkou", false),
        ("service!=checkout", false),
        ("service=~check", false),
        ("service=~check.*", true),
        ("service!~check", true),
        ("service=~pay|checkout", true),
        (r#"severity=~"page|critical",service=checkout"#, true),
        (r#"severity=~"page|critical",service=payments"#, false),
        (r#"env="""#, true),
        (r#"env!="""#, false),
        (r#"env!=prod"#, true),
        (r#"env=~".*""#, true),
        (r#"env=~".+""#, false),
        (r#"env!~".+""#, true),
    ] {
        assert_eq!(text.parse::<Matchers>().unwrap().matches(&alert), matches, "{text}");
    }
}

#[test]
fn a_dot_does_not_match_a_line_feed_and_the_end_is_the_end() {
    let regex = Matcher::new("a", Operator::Matches, "b.*").unwrap();
    assert!(!regex.matches(&labels(&[("a", "b\nc")])));
    assert!(!regex.matches(&labels(&[("a", "b\n")])));
}

proptest! {
    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = text.parse::<Matchers>();
    }

    #[test]
    fn reading_what_looks_like_matchers_never_panics(text in r#"[ab={}!~,"\\xu0-9 \n]{0,24}"#) {
        let _ = text.parse::<Matchers>();
    }

    #[test]
    fn what_is_shown_reads_as_the_same(name in ".{1,8}", value in any::<String>(), regex in any::<bool>()) {
        let (operator, value) =
            if regex { (Operator::Matches, regex::escape(&value)) } else { (Operator::Equal, value) };
        let matcher = Matcher::new(name, operator, value).unwrap();
        prop_assert_eq!(matcher.to_string().parse::<Matchers>().unwrap().0, vec![matcher]);
    }

    #[test]
    fn negations_negate(name in "[ab]", value in "[xy]{0,2}", alert in "[xy]{0,2}", set in any::<bool>()) {
        let labels = if set { labels(&[("a", &alert)]) } else { Labels::new() };
        for (yes, no) in [(Operator::Equal, Operator::NotEqual), (Operator::Matches, Operator::MatchesNot)] {
            let yes = Matcher::new(name.as_str(), yes, value.as_str()).unwrap();
            let no = Matcher::new(name.as_str(), no, value.as_str()).unwrap();
            prop_assert_ne!(yes.matches(&labels), no.matches(&labels));
            // An escaped value is a regular expression for itself only, so both kinds agree.
            prop_assert_eq!(yes.matches(&labels), labels.get(&name).map_or("", String::as_str) == value);
        }
    }
}
