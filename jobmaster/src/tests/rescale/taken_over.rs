//! The JobMaster dies when the new scale is durable, and tasks of the old one run.

use std::collections::BTreeSet;

use super::*;

#[test]
fn tasks_of_the_old_parallelism_are_not_taken_over() {
    for parallelism in [1, 4] {
        let spec = spec(word_count(), ONCE);
        let mut cluster = super::super::cluster(spec.clone());
        for slots in [1, 1, 2] {
            cluster.add_worker(slots);
        }
        start_tasks(&mut cluster);
        let first = attempt(&cluster, "source", 0);
        cluster.work(first);
        cluster.settle();
        cluster.rescale(1, all(parallelism));
        cluster.settle();
        sinks_work(&mut cluster);
        assert!(cluster.store(Ok(())));
        // What is read behind the checkpoint is read again.
        cluster.work(first);
        cluster.workers.values_mut().for_each(|worker| worker.is_stuck = true);
        assert!(cluster.persist_scale(Ok(())));
        cluster.settle();
        assert_eq!(cluster.live().count(), 4, "they were told to end, and have not");

        cluster.replace_master(&spec, true);
        cluster.workers.values_mut().for_each(|worker| worker.is_stuck = false);
        cluster.settle();
        assert_eq!(cluster.core.status(), JobStatus::Created, "what was found is not what is wanted");
        cluster.pass(spec.timeouts.reconcile);
        start_tasks(&mut cluster);
        let running = [(0, ExecutionState::Running)].repeat(parallelism as usize);
        assert_eq!([states(&cluster, "source"), states(&cluster, "sink")], [running.clone(), running]);
        assert_eq!(cluster.live().count(), 2 * parallelism as usize);
        for _ in 0..200 {
            cluster.settle();
            if !cluster.store(Ok(())) && !cluster.work_all() && !cluster.is_busy() {
                cluster.sleep();
            }
        }
        check_ended(&mut cluster, JobStatus::Finished);
        let Some(Accumulator::List(read)) = cluster.ended[0].accumulators.get("splits") else {
            panic!("none are read")
        };
        let distinct: BTreeSet<_> = read.iter().collect();
        assert_eq!((read.len(), distinct.len()), (10, 10));
    }
}
