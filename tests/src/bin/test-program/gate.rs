//! An operator that is stuck until a test lets it go on: it has calls under way that wait for a file, and takes no more.

use std::{path::PathBuf, time::Duration};

use flott::{AsyncOptions, Stream};

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Calls of one subtask at a time.
const CALLS: usize = 100;

/// The same lines, in any order, when `gate` is there.
pub fn held_back(lines: &Stream<String>, gate: PathBuf) -> Stream<String> {
    let options = AsyncOptions::unordered().capacity(CALLS).timeout(Duration::from_secs(3600));
    lines.rebalance().map_async(options, move |line| {
        let gate = gate.clone();
        async move {
            while !gate.exists() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            Ok::<_, std::convert::Infallible>(line)
        }
    })
}
