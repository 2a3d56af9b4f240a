//! Whether a pool is big enough for what it is to get.
//!
//! The load is that of all servers which traffic is spread over now, the crashed ones included. A pool that is to get a
//! share of it needs that share of them. With less than half of that the move is refused; with fewer it is a warning, since
//! the other choice is to stay on a broken version.

/// A pool that is to get a share, in servers.
pub(super) struct Asked<'a> {
    pub pool: &'a str,
    /// Can serve, as far as is known.
    pub usable: u32,
    pub all: u32,
    /// Of all pools together: servers that carry the traffic now.
    pub carrying: u32,
    /// In percent.
    pub share: u8,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Enough,
    Fewer(String),
    Refused(String),
}

pub(super) fn judge(asked: &Asked<'_>) -> Judgement {
    let Asked { pool, usable, all, carrying, share } = asked;
    // Both sides times 100: the share is in percent.
    let (have, need) = (u64::from(*usable) * 100, u64::from(*carrying) * u64::from(*share));
    let compared = format!(
        "pool {pool} has {usable} of {all} servers that can serve; {share} % of what {carrying} carry now is to go there"
    );
    if *usable == 0 {
        Judgement::Refused(format!("pool {pool} is dead: none of its {all} servers can serve"))
    } else if have * 2 < need {
        Judgement::Refused(format!("{compared}: less than half of what is needed"))
    } else if have < need {
        Judgement::Fewer(format!("{compared}: fewer than before"))
    } else {
        Judgement::Enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_needs_its_share_of_what_carries_the_traffic_now() {
        let of = |usable, carrying, share| judge(&Asked { pool: "blue", usable, all: 4, carrying, share });
        assert_eq!(of(4, 4, 100), Judgement::Enough);
        assert_eq!(of(1, 10, 10), Judgement::Enough);
        assert!(matches!(of(3, 4, 100), Judgement::Fewer(_)));
        assert!(matches!(of(1, 4, 100), Judgement::Refused(_)));
        assert!(matches!(of(0, 0, 100), Judgement::Refused(_)));
    }
}
