//! What is there without the bot: two pools behind a real HAProxy, a pager, and the configuration text that describes them.

use std::net::SocketAddr;

use lastgood_core::Artifact;
use lastgood_tests::{
    process::free_port,
    real::haproxy::{HaProxy, Setup},
    shop::{Shop, artifact},
    standin::pagerduty::PagerDuty,
};
use tempfile::TempDir;

/// PagerDuty's integration keys have 32 characters.
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
pub const ALERT_TOKEN: &str = "token-of-alertmanager";
pub const CI_TOKEN: &str = "token-of-the-pipeline";

pub struct Stage {
    pub folder: TempDir,
    pub haproxy: HaProxy,
    pub shop: Shop,
    pub pagerduty: PagerDuty,
    /// What runs in blue, and in green.
    pub old: Artifact,
    pub new: Artifact,
    /// Where the bot is going to listen.
    pub bot: SocketAddr,
}

/// What a scenario wants otherwise than most.
#[derive(Clone, Default)]
pub struct Wishes {
    /// Lines of `[services.checkout]`.
    pub service: String,
    /// Lines of `[services.checkout.health]`; by default what `/healthz` says through HAProxy, asked in quick succession.
    pub health: Option<String>,
    /// Lines of `[services.checkout.traffic]`, instead of the switch by map entry.
    pub traffic: Option<String>,
    /// Further tables.
    pub more: String,
    /// Lines of `[store]`.
    pub store: String,
    /// `bake`, where it is not to be short.
    pub bake: Option<String>,
    /// Pools without a version endpoint.
    pub blind: &'static [&'static str],
    /// Lines of `[pagers.oncall]`.
    pub pager: String,
}

impl Stage {
    /// Blue runs v2.4.0, green v2.4.1; traffic is on blue.
    pub async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::start("checkout", &[("blue", "v2.4.0", 1), ("green", "v2.4.1", 1)]).await;
        let members = |pool: &str| {
            shop.pool(pool).iter().map(|server| (server.name().to_owned(), server.at().port())).collect()
        };
        let setup = Setup { blue: members("blue"), green: members("green"), ..Setup::new(&[], &[]) };
        let haproxy = HaProxy::start(&folder.path().join("haproxy"), setup).await;
        for (name, secret) in [("routing", ROUTING_KEY), ("alerts", ALERT_TOKEN), ("ci", CI_TOKEN)] {
            std::fs::write(folder.path().join(name), secret).unwrap();
        }
        let pagerduty = PagerDuty::start(&[ROUTING_KEY]).await;
        let (old, new) = (artifact("v2.4.0"), artifact("v2.4.1"));
        let bot = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self { folder, haproxy, shop, pagerduty, old, new, bot }
    }

    /// Where customers come in.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.haproxy.setup.frontend)
    }

    /// Somebody moves the traffic: a pipeline that deploys, or a hand in the night.
    pub fn flip(&self, pool: &str) {
        self.haproxy.told(&format!("set map {} checkout be_{pool}", self.haproxy.map()));
    }

    /// What to say in `Wishes::traffic` and `Wishes::health` for traffic that is spread by weights.
    pub fn by_weight(&self) -> (String, String) {
        let traffic = format!(
            "strategy = 'canary'\nkind = 'haproxy'\ninstances = ['{}']\nweights = {{ backend = 'be_weights', pools = {{ blue = \
             ['blue1'], green = ['green1'] }} }}",
            self.haproxy.socket("admin")
        );
        let url = format!("http://127.0.0.1:{}/healthz", self.haproxy.setup.weighted);
        let health = format!(
            "every = '100ms'\nrecover_within = '4s'\ngood_in_a_row = 3\nhttp = [{{ url = '{url}' }}]"
        );
        (traffic, health)
    }

    /// So much of the traffic that is spread by weights goes to blue.
    pub fn weigh(&self, blue: u8) {
        for (server, weight) in [("blue1", blue), ("green1", 100 - blue)] {
            self.haproxy.told(&format!("set server be_weights/{server} weight {weight}"));
        }
    }

    /// Blue's part of the weights now.
    pub fn weighed(&self) -> u32 {
        let state = self.haproxy.command("show servers state be_weights");
        let weight = |name: &str| -> u32 {
            let row = state.lines().find(|line| line.split(' ').nth(3) == Some(name)).expect("a server");
            row.split(' ').nth(7).expect("its weight").parse().expect("a number")
        };
        let (blue, green) = (weight("blue1"), weight("green1"));
        (f64::from(blue) * 100.0 / f64::from(blue + green)).round() as u32
    }

    /// Which pool HAProxy's map names now.
    pub fn routed(&self) -> String {
        let map = self.haproxy.command(&format!("show map {}", self.haproxy.map()));
        let entry = map.lines().find(|line| line.split(' ').nth(1) == Some("checkout")).expect("the entry");
        entry.split("be_").nth(1).expect("a backend").trim().to_owned()
    }

    fn secret(&self, name: &str) -> String {
        format!("{{ file = '{}' }}", self.folder.path().join(name).display())
    }

    /// `lastgood.toml`.
    pub fn configuration(&self, store: &str, wishes: &Wishes) -> String {
        let own = format!(
            "every = '100ms'\nrecover_within = '4s'\ngood_in_a_row = 3\nhttp = [{{ url = '{}/healthz' }}]",
            self.url()
        );
        let health = wishes.health.as_ref().unwrap_or(&own);
        let switch = format!(
            "strategy = 'blue-green'\nkind = 'haproxy'\ninstances = ['{}']\nswitch = {{ map = '{}', key = 'checkout', blue = \
             'be_blue', green = 'be_green' }}",
            self.haproxy.socket("admin"),
            self.haproxy.map()
        );
        format!(
            "[store]\nurl = '{store}'\n{store_lines}
[http]
listen = '{bot}'
tokens = [
  {{ name = 'ci', secret = {ci}, may = ['record', 'gate', 'read'] }},
  {{ name = 'alertmanager', secret = {alerts}, may = ['alert'] }},
]
[pagers.oncall]
kind = 'pagerduty'
url = '{pagerduty}'
routing_key = {routing}
{pager}
[services.checkout]
environment = 'production'
room = 'terminal:incidents'
alerts = ['service=\"checkout\"']
approvers = ['terminal:UANA', 'terminal:UBEN', 'terminal:UCARL']
page = ['oncall']
bake = '{bake}'
{service}
{more}
[services.checkout.traffic]
{traffic}
{pools}[services.checkout.health]
{health}
",
            store_lines = wishes.store,
            bot = self.bot,
            ci = self.secret("ci"),
            alerts = self.secret("alerts"),
            routing = self.secret("routing"),
            pagerduty = self.pagerduty.url(),
            // No shorter than the time between two looks.
            bake = wishes.bake.as_deref().unwrap_or(if health.contains("every = '1s'") {
                "1s"
            } else {
                "200ms"
            }),
            pager = wishes.pager,
            service = wishes.service,
            more = wishes.more,
            traffic = wishes.traffic.as_ref().unwrap_or(&switch),
            pools = ["blue", "green"].map(|pool| self.pool(pool, !wishes.blind.contains(&pool))).concat(),
        )
    }

    fn pool(&self, pool: &str, tells: bool) -> String {
        let at = self.shop.pool(pool)[0].at();
        let version = format!("version = {{ url = 'http://{at}/version', json_pointer = '/digest' }}\n");
        format!(
            "[services.checkout.pools.{pool}]\n{}health = [{{ url = 'http://{at}/healthz' }}]\n",
            if tells { &version } else { "" }
        )
    }
}
