use flott_kubernetes_lab::skipped;

use super::support::{Namespace, isolation, shared};

#[test]
fn a_container_over_its_memory_limit_is_oom_killed() {
    let test = "a_container_over_its_memory_limit_is_oom_killed";
    let Some(cluster) = shared(test) else { return };
    let isolation = isolation(&cluster);
    if isolation != "full, with limits of memory" {
        skipped::aloud(test, &format!("containers have no limits of memory here: isolation is {isolation}"));
        return;
    }
    let here = Namespace::new(&cluster, "limits");
    here.pod("glutton", &["eat", "200"], ", resources: {limits: {memory: 32Mi}}");
    let pod = here.until_phase("glutton", "Failed");
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&ended["exitCode"], &ended["reason"]), (&137.into(), &"OOMKilled".into()), "{ended:#}");
}
