//! Rooms of this process: which are being worked off, and which rest. A room whose pace is exhausted still takes edits, so
//! that a card changes the moment something is decided; it is looked at again when something was committed meanwhile.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The poll that alone suffices.
const POLL: Duration = Duration::from_secs(1);
/// Other threads may get something to say meanwhile, but looking for it takes something, too.
const SOON: Duration = Duration::from_millis(10);

/// How long a room rests after it was worked off.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Nothing goes, edits included.
    pub all: Duration,
    /// New messages go from here on.
    pub posts_from: Option<Instant>,
    /// A message can be tried after this long.
    pub again: Option<Duration>,
}

impl Pause {
    pub fn all(all: Duration) -> Self {
        Self { all, ..Self::default() }
    }

    pub fn look_again(&mut self, after: Duration) {
        self.again = Some(self.again.map_or(after, |again| again.min(after)));
    }
}

/// What a worker that starts now may do.
pub(super) struct Turn {
    /// New messages may go.
    pub posts: bool,
}

struct Room {
    busy: bool,
    rests_until: Instant,
    posts_from: Instant,
    /// Worth another look, whatever is committed until then.
    again: Instant,
    /// The count of commits when it was looked at last.
    looked_at: u64,
}

#[derive(Default)]
pub(super) struct Rooms(HashMap<String, Room>);

impl Rooms {
    /// Whether a worker may start on this room now, `commits` being how many this process knows of.
    pub fn begin(&mut self, room: &str, commits: u64) -> Option<Turn> {
        let now = Instant::now();
        let Some(room) = self.0.get_mut(room) else {
            let new = Room { busy: true, rests_until: now, posts_from: now, again: now, looked_at: commits };
            self.0.insert(room.to_owned(), new);
            return Some(Turn { posts: true });
        };
        let news = room.looked_at != commits || room.again <= now;
        if room.busy || room.rests_until > now || !news {
            return None;
        }
        (room.busy, room.looked_at) = (true, commits);
        Some(Turn { posts: room.posts_from <= now })
    }

    pub fn done(&mut self, room: &str, pause: &Pause) {
        let now = Instant::now();
        let Some(room) = self.0.get_mut(room) else { return };
        room.busy = false;
        room.rests_until = now + pause.all;
        if let Some(from) = pause.posts_from {
            room.posts_from = from;
        }
        let again = now + pause.again.unwrap_or(POLL).clamp(SOON, POLL);
        let posts = Some(room.posts_from).filter(|from| *from > now);
        room.again = posts.map_or(again, |from| from.min(again));
    }

    /// Until the next resting room may go on.
    pub fn wake(&self) -> Duration {
        let now = Instant::now();
        let idle = self.0.values().filter(|room| !room.busy);
        let waits = idle.map(|room| room.again.max(room.rests_until).saturating_duration_since(now));
        waits.filter(|wait| !wait.is_zero()).min().unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_go_while_posts_rest_once_for_every_commit() {
        let mut rooms = Rooms::default();
        assert!(rooms.begin("a", 1).is_some_and(|turn| turn.posts));
        assert!(rooms.begin("a", 2).is_none(), "one worker at a time");
        let pause = Pause { posts_from: Some(Instant::now() + Duration::from_secs(60)), ..Pause::default() };
        rooms.done("a", &pause);
        assert!(rooms.begin("a", 1).is_none(), "nothing new");
        assert!(rooms.begin("a", 2).is_some_and(|turn| !turn.posts));
        rooms.done("a", &Pause::default());
        assert!(rooms.begin("a", 2).is_none());
        assert!(rooms.wake() <= POLL);
        assert!(rooms.begin("b", 2).is_some_and(|turn| turn.posts));
    }

    #[test]
    fn a_room_that_is_held_takes_nothing() {
        let mut rooms = Rooms::default();
        rooms.begin("a", 1);
        rooms.done("a", &Pause::all(Duration::from_secs(60)));
        assert!(rooms.begin("a", 2).is_none());
        assert!(rooms.wake() > Duration::from_secs(50));
    }
}
