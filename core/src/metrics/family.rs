/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It grows, and begins anew at 0.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// In what it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// 1 where it is so, else 0.
    Truth,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Milliseconds since 1970.
    Timestamp,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// In a table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Truth => "0 or 1",
            Self::Bytes => "bytes",
            Self::Milliseconds => "ms",
            Self::Timestamp => "ms since 1970",
            Self::Seconds => "s",
        }
    }
}

/// A metric: all series of one name.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// In what it is counted.
    pub unit: Unit,
    /// Labels that all of its group have.
    pub labels: &'static [&'static str],
    /// A label that it has besides.
    pub by: Option<&'static str>,
    /// What it means; one line.
    pub help: &'static str,
    /// Flink's metric of the same meaning.
    pub flink: Option<&'static str>,
}

/// Metrics with the same labels, served together.
#[derive(Debug)]
pub struct Group {
    /// Heading of the reference page.
    pub title: &'static str,
    /// What stands below it.
    pub intro: &'static str,
    /// Labels of all of them.
    pub labels: &'static [&'static str],
    /// The metrics.
    pub families: &'static [&'static Family],
}

impl Family {
    const fn new(name: &'static str, kind: Kind, unit: Unit) -> Self {
        Self { name, kind, unit, labels: &[], by: None, help: "", flink: None }
    }

    pub(super) const fn counter(name: &'static str, unit: Unit) -> Self {
        Self::new(name, Kind::Counter, unit)
    }

    pub(super) const fn gauge(name: &'static str, unit: Unit) -> Self {
        Self::new(name, Kind::Gauge, unit)
    }

    pub(super) const fn by(mut self, label: &'static str) -> Self {
        self.by = Some(label);
        self
    }

    pub(super) const fn flink(mut self, name: &'static str) -> Self {
        self.flink = Some(name);
        self
    }

    pub(super) const fn of(mut self, labels: &'static [&'static str], help: &'static str) -> Self {
        self.labels = labels;
        self.help = help;
        self
    }
}

/// Declares the metrics of a group: `NAME = counter("name", Unit).flink("name");`, each below its help, and `GROUP` of them.
macro_rules! group {
    (
        $title:literal, $intro:literal, $labels:ident;
        $($(#[doc = $doc:literal])+ $name:ident = $kind:ident($text:literal, $unit:ident) $(.$more:ident($argument:literal))*;)+
    ) => {
        $(
            $(#[doc = $doc])+
            pub static $name: $crate::metrics::Family =
                $crate::metrics::Family::$kind($text, $crate::metrics::Unit::$unit)$(.$more($argument))*
                    .of(&$labels, concat!($($doc),+));
        )+

        /// All of them.
        pub static GROUP: $crate::metrics::Group =
            $crate::metrics::Group { title: $title, intro: $intro, labels: &$labels, families: &[$(&$name),+] };
    };
}

pub(super) use group;
