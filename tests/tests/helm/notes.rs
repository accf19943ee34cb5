//! What the chart says to whoever has installed it, in all words, and that the API server's things are called so.

use flott_kubernetes_lab::{Toolchain, skipped, toolchain::Tool};
use flott_tests::binaries::shipped;

use crate::release::done;

const STATE: &str = "\nThe state directory is lost with the JobManager's pod, and jobs with it: jobmanager.persistence.enabled is false.\n";
const NO_CHECKPOINTS: &str = "\nNO CHECKPOINTS are taken, since there is no place that all pods reach: enable checkpoints.persistence, or set\n\
                              config.execution.checkpointing.dir. Jobs that fail start over.\n";
const STAYS: &str = "\nThe TaskManagers stay when the job has ended: `helm uninstall demo -n apps` takes them away.\n";
const CLAIM: &str = "application.volume.persistentVolumeClaim.claimName=files";

struct Notes {
    toolchain: Toolchain,
}

impl Notes {
    /// Wants these words with these values; `kind` and `head` are what the cluster is and hangs on, `rest` what follows what is always said.
    #[track_caller]
    fn check(&self, settings: &[&str], kind: &str, head: &str, rest: &str) {
        let chart = shipped("helm/flott");
        let own = ["install", "demo", &*chart, "--dry-run=client", "--namespace=apps"];
        let printed = done(
            self.toolchain.command(Tool::Helm).args(own).args(settings.iter().flat_map(|setting| ["--set", setting])),
        );
        let (manifests, notes) = printed.split_once("\nNOTES:\n").expect("there are notes");
        let job = || {
            let name = manifests.split("kind: Job\n").nth(1).and_then(|job| job.split("name: ").nth(1)?.lines().next());
            name.expect("there is a Job").to_owned()
        };
        let head = if head == "job" { format!("job/{}", job()) } else { head.to_owned() };
        let expected = format!(
            "Flott 0.1.0: {kind} demo in the namespace apps.\n\nFrom this machine:\n\n  \
             export FLOTT_TOKEN=$(kubectl -n apps get secret demo-token -o go-template='{{{{index .data \"token\" | base64decode}}}}')\n  \
             kubectl -n apps port-forward {head} 8081 &\n  flott list -a -m localhost:8081\n\n\
             In the cluster the JobManager is demo.apps:8081{rest}"
        );
        assert_eq!(notes.trim_end(), expected.trim_end(), "{settings:?}");
        for named in ["kind: Secret\nmetadata:\n  name: demo-token\n", "kind: Service\nmetadata:\n  name: demo\n"] {
            assert!(manifests.contains(named), "{named:?} is missing in:\n{manifests}");
        }
    }
}

#[test]
fn whoever_installs_the_chart_is_told_how_to_reach_it_and_what_is_lost() {
    let test = "whoever_installs_the_chart_is_told_how_to_reach_it_and_what_is_lost";
    let Some(toolchain) = skipped::without_toolchain(test) else { return };
    let notes = Notes { toolchain };
    let (session, job) = ("the session", "the cluster of one job");
    let limited = ". Pods that may reach it are named by networkPolicy.clients.\n";
    let deployment = "deployment/demo";

    // Nothing is said of checkpoints where they are taken, and nothing of jobs where they are kept.
    let kept = ["jobmanager.persistence.enabled=true", "checkpoints.persistence.enabled=true"];
    let lost = "jobmanager.persistence.enabled=false";
    for workers in ["workers=native", "workers=standalone"] {
        notes.check(&[workers], session, deployment, &[limited, NO_CHECKPOINTS].concat());
        notes.check(&[workers, lost], session, deployment, &[limited, NO_CHECKPOINTS, STATE].concat());
        notes.check(&[&[workers][..], &kept].concat(), session, deployment, limited);
    }
    let application = ["mode=application", CLAIM];
    let native = [&application[..], &["workers=native"]].concat();
    notes.check(&[&native[..], &[lost]].concat(), job, "job", &[limited, NO_CHECKPOINTS, STATE].concat());
    notes.check(&[&native[..], &kept].concat(), job, "job", limited);
    let standalone = [&application[..], &["workers=standalone"]].concat();
    notes.check(&[&standalone[..], &[lost]].concat(), job, "job", &[limited, NO_CHECKPOINTS, STATE, STAYS].concat());
    notes.check(&[&standalone[..], &kept].concat(), job, "job", &[limited, STAYS].concat());

    let open = ["service.enabled=true", "service.port=80", "networkPolicy.enabled=false"];
    let clients = ", and demo-rest:80 for clients.\n";
    notes.check(&[&open[..], &kept].concat(), session, deployment, clients);
    let elsewhere = ["config.state\\.checkpoints\\.dir=s3://b/c", "jobmanager.persistence.enabled=true"];
    notes.check(&elsewhere, session, deployment, limited);
    let elected = ["workers=native", "highAvailability.enabled=true", "highAvailability.storageDir=s3://b/h"];
    notes.check(&elected, session, deployment, limited);
}
