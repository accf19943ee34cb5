//! Every query cut by snapshots, and started from them with other numbers of subtasks, against the model.

use std::{any::Any, sync::Arc};

use flott::{
    Stream,
    testing::{Harness, HarnessOptions, Snapshot},
};
use flott_nexmark::{
    check::difference,
    event::Event,
    generator::{Generator, Options},
    model,
    queries::Row,
    query::{Query, Take},
};
use parking_lot::Mutex;

/// Rows of all runs in the order in which they came, whatever their type.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<Gathered>>);

#[derive(Default)]
struct Gathered {
    /// A `Vec` of them.
    rows: Option<Box<dyn Any + Send>>,
    settled: Option<fn(&dyn Any) -> Vec<String>>,
}

impl Rows {
    /// What they come to.
    fn settled(&self) -> Vec<String> {
        let Gathered { rows, settled } = &*self.0.lock();
        let (Some(rows), Some(settled)) = (rows, settled) else { return Vec::new() };
        let mut settled = settled(&**rows);
        settled.sort_unstable();
        settled
    }
}

struct Gather(Rows);

impl Take for Gather {
    type Out = ();

    fn take<R: Row>(self, rows: &Stream<R>) {
        let Rows(gathered) = self.0;
        gathered.lock().settled = Some(|rows| R::settled(rows.downcast_ref::<Vec<R>>().unwrap()).unwrap());
        let push = move |row| {
            let mut gathered = gathered.lock();
            let rows = gathered.rows.get_or_insert_with(|| Box::new(Vec::<R>::new()));
            rows.downcast_mut::<Vec<R>>().unwrap().push(row);
        };
        // In one subtask, so that of rows with the same key the last one comes last.
        rows.for_each(push).parallelism(1);
    }
}

fn harness(
    query: Query,
    generator: &Generator,
    rows: &Rows,
    subtasks: u32,
    from: Option<&Snapshot>,
) -> Harness<Event, Event> {
    let options = HarnessOptions::new().parallelism(subtasks);
    let options = from.into_iter().fold(options, |options, snapshot| options.from_snapshot(snapshot));
    let out_of_order = generator.options().out_of_order();
    Harness::with(options, |events: Stream<Event>| {
        query.plan(&events, out_of_order, Gather(rows.clone()));
        events.filter(|_| false)
    })
}

#[test]
fn queries_come_through_restarts() {
    // Across midnight, and out of order by as much as half a second.
    let options = Options { count: 6_000, seed: 7, out_of_order_ms: 500, ..Options::default() };
    let base_time = options.base_time - 400;
    let generator = Generator::new(Options { base_time, ..options }).unwrap();
    let events = generator.events();
    for query in Query::ALL {
        let expected = model::answer(query, &events);
        let rows = Rows::default();
        let mut running = harness(query, &generator, &rows, 2, None);
        for (subtasks, part) in [3, 1, 2, 2].into_iter().zip(events.chunks(1_700)) {
            for batch in part.chunks(64) {
                running.batch(batch.to_vec()).unwrap();
            }
            let snapshot = running.snapshot().unwrap();
            running = harness(query, &generator, &rows, subtasks, Some(&snapshot));
        }
        running.end().unwrap();
        let found = rows.settled();
        if let Some(difference) = difference(&expected, &found) {
            panic!("{query}: {difference}");
        }
    }
}
