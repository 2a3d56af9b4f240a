//! What platforms take, whatever text comes from outside.

use lastgood_core::{
    RollbackId,
    card::{Card, Span, plain},
    rollback::Event,
};
use proptest::prelude::*;

use super::world::*;
use crate::render::{
    action::{Action, Verb, chosen, option_value},
    answer, posts, refusal, root,
};

pub fn within_limits(card: &Card) {
    assert!(card.title.chars().count() <= 150, "{}", card.title);
    assert!(card.fields.len() <= 20);
    for line in &card.text {
        assert!(plain(line).chars().count() <= 800, "{line:?}");
    }
    for field in &card.fields {
        let text: Vec<Span> =
            field.value.iter().filter(|s| !matches!(s, Span::Link { .. })).cloned().collect();
        assert!(plain(&text).chars().count() <= 400, "{field:?}");
        assert!(!field.name.is_empty() && !field.value.is_empty(), "{field:?}");
    }
    for button in &card.buttons {
        assert!(button.action.len() <= 100 && button.label.chars().count() <= 75);
        if let Some(form) = &button.form {
            assert!(form.title.chars().count() <= 24 && !form.title.ends_with('…'), "{}", form.title);
            assert!(form.submit.chars().count() <= 24);
            for input in &form.inputs {
                assert!(input.label.chars().count() <= 45 && !input.label.ends_with('…'), "{}", input.label);
                assert!(input.hint.chars().count() <= 100 && input.options.len() <= 25);
                for (value, label) in &input.options {
                    assert!(value.len() <= 100 && label.chars().count() <= 75);
                }
            }
        }
    }
    let mut keys: Vec<_> = card.buttons.iter().map(|b| b.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), card.buttons.len(), "one key per button");
}

proptest! {
    #[test]
    fn any_foreign_text_is_cut(text in ".{0,2000}", many in 0usize..40) {
        let mut opening = opening();
        opening.alert.as_mut().unwrap().title = text.clone();
        let mut survey = survey();
        survey.drift = vec![text.clone(); many];
        survey.notes = vec![text.clone(); many];
        survey.choice.candidates = survey.choice.candidates.iter().cycle().take(many).cloned().collect();
        survey.choice.candidates.push(candidate(&text, 'b', None));
        survey.doubt = Some(text.clone());
        let mut talk = Talk::new(opening).take(found(survey));
        talk.dependencies = vec![text.clone(); many];
        talk.run.warnings = vec![text.clone(); many];
        talk.run.reasons = vec![text.clone(); many];
        let around = Around { annotations: vec![(text.clone(), text.clone()); many], ..Around::default() };
        let card = root(&talk.view(&around));
        within_limits(&card);
        let event = Event::EffectStuck { effect: text.clone(), detail: text.clone() };
        let before = talk.run.clone();
        talk.try_take(&event).unwrap();
        for post in posts(Some(&before), &event, &talk.run, &talk.view(&around)) {
            within_limits(&post.card);
        }
        within_limits(&root(&talk.view(&around)));
        within_limits(&refusal(&text));
        within_limits(&answer(&text, &text));
    }

    #[test]
    fn an_action_is_read_as_it_was_written(rollback in any::<i64>(), revision in any::<u32>(), n in 0usize..14) {
        let action = Action { rollback: RollbackId(rollback), revision, verb: Verb::ALL[n] };
        let text = action.to_string();
        prop_assert!(text.len() <= 100);
        prop_assert_eq!(text.parse(), Ok(action));
    }

    #[test]
    fn any_other_text_is_no_action(text in "(rb)?[-+0-9. ]{0,9}[a-z-]{0,9}\\PC{0,3}") {
        if let Ok(action) = text.parse::<Action>() {
            prop_assert_eq!(action.to_string(), text);
        }
    }
}

#[test]
fn an_option_leads_back_to_its_candidate() {
    let talk = Talk::new(opening()).take(found(survey()));
    let proposal = talk.run.proposal.as_ref().unwrap();
    let wanted = digest('e');
    assert_eq!(chosen(proposal, &option_value(&wanted)), Some(wanted));
    assert_eq!(chosen(proposal, "sha256:"), None);
    assert_eq!("rb42.3.approve".parse::<Action>().unwrap().verb, Verb::Approve);
}

#[test]
fn a_link_is_only_what_a_browser_may_follow() {
    let annotations = vec![("runbook_url".into(), "javascript:alert(1)".into())];
    let around = Around { annotations, ..Around::default() };
    let talk = Talk::new(opening());
    let card = root(&talk.view(&around));
    let links = card.fields.iter().flat_map(|f| &f.value).filter(|s| matches!(s, Span::Link { .. }));
    assert_eq!(links.count(), 0);
}
