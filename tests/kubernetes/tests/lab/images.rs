use super::support::{Namespace, shared};

#[test]
fn an_image_that_is_not_there_is_told_of_and_tried_again() {
    let Some(cluster) = shared("an_image_that_is_not_there_is_told_of_and_tried_again") else { return };
    let here = Namespace::new(&cluster, "missing");
    here.kubectl(&["run", "lost", "--image=lab/missing:1"]);
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        let pod = here.until("lost", reason, |pod| waiting(pod, "reason") == reason);
        assert!(waiting(&pod, "message").contains("lab/missing:1"), "{pod:#}");
    }
}

#[test]
fn a_private_image_needs_a_pull_secret() {
    let Some(cluster) = shared("a_private_image_needs_a_pull_secret") else { return };
    let here = Namespace::new(&cluster, "private");
    here.create(
        "{apiVersion: v1, kind: Pod, metadata: {name: member}, spec: {imagePullSecrets: [{name: key}], containers: \
         [{name: main, image: 'lab/private:1', args: [-c, 'sleep 1000']}]}}",
    );
    let pod = here.until("member", "a refusal", |pod| waiting(pod, "reason") == "ErrImagePull");
    assert!(waiting(&pod, "message").contains("pull access denied"), "{pod:#}");
    here.kubectl(&["create", "secret", "docker-registry", "key", "--docker-username=a", "--docker-password=b"]);
    here.until_phase("member", "Running");
}

/// A field of why the only container waits.
fn waiting<'a>(pod: &'a serde_json::Value, field: &str) -> &'a str {
    pod["status"]["containerStatuses"][0]["state"]["waiting"][field].as_str().unwrap_or_default()
}
