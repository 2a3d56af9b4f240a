//! `lastgood discover`: what runs in a namespace of Kubernetes, and a configuration to start from. Changes nothing, and needs no
//! configuration of its own.

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Args as Arguments;
use lastgood_adapters::traffic::discover::{Access, Found, discover};

use super::{
    Ended, Fault,
    output::{note, plain, say, table},
};

#[derive(Debug, Arguments)]
pub struct Args {
    /// Where to look.
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// Credentials; otherwise as kubectl finds them, else the pod's own.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Of the kubeconfig; its current one unless given.
    #[arg(long)]
    context: Option<String>,
}

pub async fn run(args: Args) -> Ended {
    let access = Access { kubeconfig: args.kubeconfig.clone(), context: args.context.clone() };
    let mut all = Vec::new();
    let asked = discover(access, &args.namespace, |found| all.push(found)).await;
    asked.map_err(|fault| {
        Fault::new(format!(
            "what runs in {} can't be listed: {fault}. Is it the right context, and may you list deployments there?",
            args.namespace
        ))
    })?;
    if all.is_empty() {
        note(&format!(
            "no Deployment, StatefulSet, DaemonSet or Argo Rollout is in namespace {}",
            args.namespace
        ));
        return Ok(ExitCode::FAILURE);
    }
    say(configuration(&args, &all))?;
    Ok(ExitCode::SUCCESS)
}

/// A configuration with the list as its comment, so that it can go straight into a file.
fn configuration(args: &Args, all: &[Found]) -> String {
    let head = ["WORKLOAD", "READY", "STRATEGY", "IMAGES", "APPLIED BY"];
    let rows: Vec<[String; 5]> = all.iter().map(row).collect();
    let mut text = format!(
        "# What runs in namespace {}, and a configuration to start from. To do: approvers, rooms, pagers, and what\n# shows that a service is well. All keys: docs/configuration.md. Then: lastgood check\n#\n",
        args.namespace
    );
    for line in table(head, &rows).lines() {
        // Writing to a string can't fail.
        writeln!(text, "# {line}").ok();
    }
    let mut names = BTreeSet::new();
    for found in all {
        section(&mut text, args, found, &mut names);
    }
    text
}

fn row(found: &Found) -> [String; 5] {
    let images: Vec<_> = found.images.iter().map(|(_, image)| plain(image)).collect();
    let by = found.controller.iter().chain(found.git.as_ref().map(|(who, _)| who)).map(|who| plain(who));
    [
        format!("{}/{}", found.kind, found.name),
        format!("{}/{}", found.ready, found.wanted),
        plain(&found.strategy),
        images.join(" "),
        by.collect::<Vec<_>>().join(", "),
    ]
}

fn section(text: &mut String, args: &Args, found: &Found, names: &mut BTreeSet<String>) {
    let Found { kind, name, .. } = found;
    if let Some(controller) = &found.controller {
        writeln!(
            text,
            "\n# {kind}/{name} is left out: {} makes it, and would put a rollback back.",
            plain(controller)
        )
        .ok();
        return;
    }
    let service = match names.insert(name.clone()) {
        true => name.clone(),
        false => format!("{name}-{kind}"),
    };
    let (strategy, adapter, object) = match (*kind, found.strategy.as_str()) {
        ("rollout", "blueGreen") => ("blue-green", "argo-rollouts", format!("rollout = \"{name}\"")),
        ("rollout", _) => ("canary", "argo-rollouts", format!("rollout = \"{name}\"")),
        _ => ("rolling", "kubernetes-rollout", format!("workload = \"{kind}/{name}\"")),
    };
    let quoted = if service.contains('.') { format!("\"{service}\"") } else { service.clone() };
    let mut lines = vec![
        format!("[services.{quoted}]"),
        "environment = \"production\"".to_owned(),
        "room = \"terminal:\" # or \"slack:#incidents\", \"discord:#incidents\"".to_owned(),
        "approvers = [\"os:you\"]".to_owned(),
        format!("alerts = ['service=\"{service}\"']"),
        format!(
            "health.http = [{{ url = \"https://{service}.example.com/healthz\" }}] # what shows that it is well"
        ),
        "# Where a target's image is looked for before it is needed; without it: must_pull = false"
            .to_owned(),
        "must_pull = false".to_owned(),
        format!("[services.{quoted}.traffic]"),
        format!("strategy = \"{strategy}\""),
        format!("kind = \"{adapter}\""),
        format!("namespace = \"{}\"", args.namespace),
        object,
    ];
    if let [(container, _), _, ..] = &found.images[..] {
        let others: Vec<_> = found.images.iter().map(|(name, _)| plain(name)).collect();
        lines.push(format!(
            "container = \"{}\" # which one is the artifact? there are {}",
            plain(container),
            others.join(", ")
        ));
    }
    lines.extend(found.git.as_ref().map(|(who, can)| match can {
        true => format!("gitops = \"suspend\" # {}", plain(who)),
        false => format!(
            "# Applied from Git by {}: a rollback is refused until that is paused by hand",
            plain(who)
        ),
    }));
    lines.extend(credentials(args));
    writeln!(text, "\n{}", lines.join("\n")).ok();
}

fn credentials(args: &Args) -> Option<String> {
    let basic = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let file = args
        .kubeconfig
        .as_ref()
        .map(|file| format!("kubeconfig = \"{}\"", basic(&file.display().to_string())));
    let context = args.context.as_ref().map(|context| format!("context = \"{}\"", basic(context)));
    let given: Vec<_> = file.into_iter().chain(context).collect();
    (!given.is_empty()).then(|| format!("cluster = {{ {} }}", given.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn found(kind: &'static str, name: &str) -> Found {
        Found {
            kind,
            name: name.to_owned(),
            strategy: "RollingUpdate".to_owned(),
            ready: 2,
            wanted: 3,
            images: vec![("app".to_owned(), "registry.example.com/shop/checkout:v2".to_owned())],
            controller: None,
            git: None,
        }
    }

    #[test]
    fn what_is_printed_is_a_good_configuration() {
        let args = Args {
            namespace: "shop".to_owned(),
            kubeconfig: Some("/home/ana/my \"cluster\"".into()),
            context: Some("prod".to_owned()),
        };
        let mut two = found("deployment", "basket.v2");
        two.images.push(("proxy".to_owned(), "envoy:1".to_owned()));
        two.git = Some(("Argo CD application shop".to_owned(), true));
        let rollout = Found { strategy: "blueGreen".to_owned(), ..found("rollout", "pictures") };
        let owned = Found { controller: Some("Kafka main".to_owned()), ..found("statefulset", "kafka") };
        let all = [found("deployment", "checkout"), found("statefulset", "checkout"), two, rollout, owned];
        let text = configuration(&args, &all);
        let (config, _) = Config::parse(&text, "discovered.toml")
            .unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
        let names: Vec<_> = config.services.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["basket.v2", "checkout", "checkout-statefulset", "pictures"]);
        assert!(text.contains("deployment/checkout   2/3"), "{text}");
        assert!(text.contains("# statefulset/kafka is left out: Kafka main makes it"), "{text}");
        assert!(text.contains("gitops = \"suspend\" # Argo CD application shop"), "{text}");
    }
}
