use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{EntrySchema, Schema, read};
use crate::codec;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Circle(Point, u8),
    Named { name: String, points: Vec<Point> },
    Meter(Meter),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Meter(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    value: u16,
    next: Option<Box<Node>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Expression {
    Sum(Box<Expression>, Box<Expression>),
    Number(i64),
    All(Vec<Expression>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Branch {
    name: String,
    left: Tree,
    right: Tree,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tree {
    Branch(Box<Branch>),
    Leaf,
}

#[track_caller]
fn shows<T: Serialize + DeserializeOwned>(value: &T, expected: serde_json::Value) {
    let schema = Schema::of::<T>();
    let bytes = codec::to_vec(value).unwrap();
    let mut left = &bytes[..];
    assert_eq!(read(&schema, &mut left).unwrap(), expected, "{schema:?}");
    assert!(left.is_empty());
    // What is stored of a schema is the schema.
    let stored = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&stored).unwrap(), schema);
    for cut in 0..bytes.len() {
        read(&schema, &mut &bytes[..cut]).unwrap_err();
    }
}

#[test]
fn values_are_shown_by_the_schemas_of_their_types() {
    shows(&7_u64, json!(7));
    shows(&(true, -3_i8, 'x', "text".to_owned()), json!([true, -3, "x", "text"]));
    shows(&vec![Some(1.5_f32), None], json!([1.5, null]));
    shows(&[1_u16, 2, 3], json!([1, 2, 3]));
    shows(&u128::MAX, json!(u128::MAX.to_string()));
    shows(&BTreeMap::from([("a".to_owned(), 1_u8)]), json!({ "a": 1 }));
    shows(&HashMap::from([(5_u32, "five".to_owned())]), json!([[5, "five"]]));
    shows(&Point { x: 1, y: Some(2.0) }, json!({ "x": 1, "y": 2.0 }));
    shows(&Meter(9), json!(9));
    shows(&std::time::Duration::from_millis(1_500), json!({ "secs": 1, "nanos": 500_000_000 }));
    shows(&std::num::NonZeroU32::new(3).unwrap(), json!(3));
    shows(&"::1".parse::<std::net::IpAddr>().unwrap(), {
        let mut octets = vec![0; 15];
        octets.push(1);
        json!({ "V6": octets })
    });
}

#[test]
fn each_variant_is_known() {
    shows(&Shape::Nothing, json!("Nothing"));
    shows(&Shape::Circle(Point { x: 1, y: None }, 2), json!({ "Circle": [{ "x": 1, "y": null }, 2] }));
    let named = Shape::Named { name: "n".to_owned(), points: vec![Point::default()] };
    shows(&named, json!({ "Named": { "name": "n", "points": [{ "x": 0, "y": null }] } }));
    shows(&Shape::Meter(Meter(4)), json!({ "Meter": 4 }));
    shows(&vec![(Some(Shape::Nothing), Shape::Meter(Meter(1)))], json!([["Nothing", { "Meter": 1 }]]));
}

#[test]
fn types_that_contain_themselves_are_known_however_deep_values_are() {
    let mut list = Node { value: 0, next: None };
    let mut shown = json!({ "value": 0, "next": null });
    for value in 1..20 {
        list = Node { value, next: Some(Box::new(list)) };
        shown = json!({ "value": value, "next": shown });
    }
    shows(&list, shown);
    let (mut sum, mut shown) = (Expression::Number(1), json!({ "Number": 1 }));
    for number in 0..10 {
        sum = Expression::Sum(Box::new(sum), Box::new(Expression::All(vec![Expression::Number(number)])));
        shown = json!({ "Sum": [shown, { "All": [{ "Number": number }] }] });
    }
    shows(&sum, shown);
    let (mut tree, mut shown) = (Tree::Leaf, json!("Leaf"));
    for name in ["a", "b", "c", "d", "e"] {
        tree = Tree::Branch(Box::new(Branch { name: name.to_owned(), left: tree, right: Tree::Leaf }));
        shown = json!({ "Branch": { "name": name, "left": shown, "right": "Leaf" } });
    }
    shows(&tree, shown);
}

#[test]
fn a_type_that_checks_what_it_reads_is_unknown() {
    #[derive(Debug)]
    struct Even;

    impl<'de> Deserialize<'de> for Even {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let number = u32::deserialize(deserializer)?;
            if number % 2 == 0 { Ok(Self) } else { Err(serde::de::Error::custom("odd")) }
        }
    }

    assert_eq!(Schema::of::<Even>(), Schema::Unknown);
    assert_eq!(Schema::of::<Vec<Even>>(), Schema::Unknown);
    assert_eq!(Schema::of::<serde_json::Value>(), Schema::Unknown);
}

#[track_caller]
fn differs<Old: DeserializeOwned, New: DeserializeOwned>(expected: &str) {
    let (old, new) = (EntrySchema::keyed::<u64, Old>(), EntrySchema::keyed::<u64, New>());
    assert_eq!(old.accept(&new).unwrap_err().to_string(), expected);
}

#[test]
#[expect(dead_code, reason = "types that are only read")]
fn what_has_changed_is_named() {
    mod changed {
        use super::*;

        #[derive(Deserialize)]
        pub struct Point {
            pub _x: i64,
        }

        #[derive(Deserialize)]
        #[serde(rename = "Point")]
        pub struct Wider {
            #[serde(rename = "x")]
            pub _x: i64,
            #[serde(rename = "y")]
            pub _y: Option<f64>,
        }

        #[derive(Deserialize)]
        #[serde(rename = "Point")]
        pub struct Longer {
            #[serde(rename = "x")]
            pub _x: i32,
            #[serde(rename = "y")]
            pub _y: Option<f64>,
            #[serde(rename = "z")]
            pub _z: bool,
        }

        #[derive(Deserialize)]
        #[serde(rename = "Point")]
        pub struct Turned {
            #[serde(rename = "y")]
            pub _y: Option<f64>,
            #[serde(rename = "x")]
            pub _x: i32,
        }

        #[derive(Deserialize)]
        pub enum Shape {
            Nothing,
            #[serde(rename = "Square")]
            _Square(u8),
        }
    }
    differs::<u32, u64>("value: u32 was stored, and the program has u64 now");
    differs::<Vec<Point>, Point>("value: Vec<Point> was stored, and the program has Point now");
    differs::<Point, changed::Wider>("value.x: i32 was stored, and the program has i64 now");
    differs::<Vec<(u8, Point)>, Vec<(u8, changed::Wider)>>(
        "value.elements.1.x: i32 was stored, and the program has i64 now",
    );
    differs::<Point, changed::Point>("value: a field \"x\": i32 was stored, and the program has Point without it now");
    differs::<Point, changed::Longer>(
        "value: Point without \"z\" was stored, and the program has a field \"z\": bool now",
    );
    differs::<Point, changed::Turned>(
        "value: the field \"x\" as number 0 of Point was stored, and the program has it elsewhere in Point now",
    );
    differs::<Shape, changed::Shape>(
        "value: variant Circle as number 1 of Shape was stored, and the program has Square there now",
    );
    differs::<(u8, u8), (u8, u8, u8)>("value: 2 fields was stored, and the program has 3 fields now");
    let (old, new) = (EntrySchema::keyed::<u8, ()>(), EntrySchema::keyed::<String, ()>());
    assert_eq!(old.accept(&new).unwrap_err().to_string(), "key: u8 was stored, and the program has String now");
}

#[test]
#[expect(dead_code, reason = "types that are only read")]
fn what_means_the_same_is_accepted() {
    #[derive(Deserialize)]
    struct Renamed {
        #[serde(rename = "x")]
        _x: i32,
        #[serde(rename = "y")]
        _y: Option<f64>,
    }

    #[derive(Deserialize)]
    enum More {
        #[serde(rename = "Sum")]
        _Sum(Box<More>, Box<More>),
        #[serde(rename = "Number")]
        _Number(i64),
        #[serde(rename = "All")]
        _All(Vec<More>),
        #[serde(rename = "Product")]
        _Product(Box<More>, Box<More>),
    }

    let accepted = |old: Schema, new: Schema| old.accept(&new).unwrap();
    accepted(Schema::of::<Point>(), Schema::of::<Renamed>());
    accepted(Schema::of::<Meter>(), Schema::of::<u64>());
    accepted(Schema::of::<u64>(), Schema::of::<Meter>());
    accepted(Schema::of::<Expression>(), Schema::of::<More>());
    accepted(Schema::Unknown, Schema::of::<u64>());
    accepted(Schema::of::<Vec<u8>>(), Schema::of::<std::collections::BTreeSet<u8>>());
}
