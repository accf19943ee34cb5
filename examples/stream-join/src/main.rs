//! Joins two streams by key: orders with the customers who placed them.
//!
//! Orders that come before their customer is known wait in a list state; the customer's record lets them go.

use std::path::PathBuf;

use clap::Parser;
use flott::{Environment, FunctionResult, KeyedCoProcessFunction, KeyedContext, KeyedOpen, ListState, ValueState};
use serde::{Deserialize, Serialize};

flott::allocator!();

#[derive(Parser)]
#[command(version, about = "Joins generated orders with their customers: lines `order customer`")]
struct Arguments {
    /// How many orders
    #[arg(long, default_value_t = 1_000)]
    records: u64,

    /// How many customers
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,

    /// Directory to write to; without one, the results are printed
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    number: u64,
    customer: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Customer {
    id: u64,
    name: String,
}

#[derive(Clone, Default)]
struct Join {
    name: ValueState<String>,
    waiting: ListState<u64>,
}

impl KeyedCoProcessFunction for Join {
    type Key = u64;
    type Left = Order;
    type Right = Customer;
    type Out = String;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.name = ctx.value("name")?;
        self.waiting = ctx.list("waiting")?;
        Ok(())
    }

    fn process_left(&mut self, order: Order, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        match self.name.get(ctx)? {
            Some(name) => {
                let line = format!("{} {name}", order.number);
                ctx.emit(line);
            }
            None => self.waiting.add(ctx, order.number)?,
        }
        Ok(())
    }

    fn process_right(&mut self, customer: Customer, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        for order in self.waiting.take(ctx)? {
            ctx.emit(format!("{order} {}", customer.name));
        }
        self.name.set(ctx, customer.name)?;
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let Arguments { records, keys, output } = Arguments::parse();
    let env = Environment::new();
    let orders = env.generate(records, move |number| Order { number, customer: number % keys }).name("orders");
    let customers = env.generate(keys, |id| Customer { id, name: format!("customer-{id}") }).name("customers");
    let joined = orders
        .key_by(|order| order.customer)
        .connect(&customers.key_by(|customer| customer.id))
        .process(Join::default())
        .name("join");
    match output {
        Some(directory) => joined.write_text(directory),
        None => joined.print(),
    };
    env.execute("Stream Join")?;
    Ok(())
}
