//! What other programs do in the rooms: they post messages and change them, and the product hears of it.

use lastgood::clock::{Clock as _, System};
use lastgood_adapters::chat::{Answer, Incoming, MessageRef, Part, Posted, What};
use lastgood_core::{
    Actor,
    card::{Card, Colour},
};

use super::{Message, Platform};

impl Platform {
    /// A program posts a message.
    pub async fn posts(&self, sender: &str, room: &str, text: &str, parts: Vec<Part>) -> Posted {
        let at = {
            let mut state = self.state();
            assert!(state.rooms.contains(room), "{} has no room {room}", self.name);
            let at = MessageRef(format!("{}:{room}/{}", self.name, state.messages.len() + 1));
            state.messages.push(Message {
                at: at.clone(),
                room: room.to_owned(),
                thread: None,
                nonce: format!("of {sender}"),
                broadcast: false,
                revisions: Vec::new(),
                deleted: false,
            });
            at
        };
        let (sender, text) = (sender.to_owned(), text.to_owned());
        let posted = Posted { at, sender, sent_at: System.now(), text, parts };
        self.edits(&posted).await;
        posted
    }

    /// It changes the message.
    pub async fn edits(&self, posted: &Posted) {
        let room = {
            let mut state = self.state();
            let message = state.message_mut(&posted.at).expect("a message that is there");
            let lines = posted.parts.iter().map(|part| part.title.clone()).chain([posted.text.clone()]);
            let title: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
            message.revisions.push(Card::new(Colour::Neutral, title.join("; ")));
            message.room.clone()
        };
        self.show();
        let actor = Actor::new(format!("{}:B{}", self.name, posted.sender), posted.sender.clone());
        let incoming = self.new_delivery(&actor, &room, What::Posted(posted.clone()));
        self.hears(incoming).await;
    }

    async fn hears(&self, incoming: Incoming) {
        let answer = self.deliver(incoming).await.expect("it is taken");
        assert_eq!(answer, Answer::Done, "nobody is there to be answered");
    }
}
