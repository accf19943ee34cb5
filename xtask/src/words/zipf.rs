/// Draws ranks with probability proportional to 1/(rank+1)^exponent, in constant time (alias method; Walker 1974, with
/// Vose's way of building the table): a column is picked evenly, and holds its own rank and one other.
pub struct Zipf {
    columns: Vec<Column>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    /// Share of the column that is its own rank's, in 2^32nds.
    own: u32,
    /// The rank of the rest.
    other: u32,
}

impl Zipf {
    /// A distribution over `ranks` ranks.
    pub fn new(ranks: u32, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=ranks).map(|rank| f64::from(rank).powf(-exponent)).collect();
        let sum: f64 = weights.iter().sum();
        // In units of one column.
        let mut left: Vec<f64> = weights.iter().map(|weight| weight / sum * f64::from(ranks)).collect();
        let (mut short, mut tall): (Vec<u32>, Vec<u32>) = (0..ranks).partition(|&rank| left[rank as usize] < 1.0);
        let mut columns: Vec<Column> = (0..ranks).map(|rank| Column { own: u32::MAX, other: rank }).collect();
        // A column that is not full is filled up from one that overflows.
        while let (Some(low), Some(&high)) = (short.pop(), tall.last()) {
            columns[low as usize] = Column { own: (left[low as usize] * 2f64.powi(32)) as u32, other: high };
            left[high as usize] -= 1.0 - left[low as usize];
            if left[high as usize] < 1.0 {
                tall.pop();
                short.push(high);
            }
        }
        Self { columns }
    }

    /// The rank for 64 evenly distributed bits.
    pub fn rank(&self, bits: u64) -> u32 {
        let picked = ((bits >> 32) * self.columns.len() as u64) >> 32;
        let column = self.columns[picked as usize];
        if (bits as u32) < column.own { picked as u32 } else { column.other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probability of each rank, as the table gives it.
    fn probabilities(zipf: &Zipf) -> Vec<f64> {
        let mut probabilities = vec![0.0; zipf.columns.len()];
        let column_share = 1.0 / zipf.columns.len() as f64;
        for (rank, column) in zipf.columns.iter().enumerate() {
            let own = f64::from(column.own) / 2f64.powi(32);
            probabilities[rank] += own * column_share;
            probabilities[column.other as usize] += (1.0 - own) * column_share;
        }
        probabilities
    }

    #[track_caller]
    fn check(ranks: u32, exponent: f64) {
        let sum: f64 = (1..=ranks).map(|rank| f64::from(rank).powf(-exponent)).sum();
        for (rank, got) in (1..=ranks).zip(probabilities(&Zipf::new(ranks, exponent))) {
            let expected = f64::from(rank).powf(-exponent) / sum;
            assert!((got - expected).abs() < 1e-9, "rank {rank} of {ranks}: {got}, not {expected}");
        }
    }

    #[test]
    fn every_rank_has_its_probability() {
        check(1, 1.1);
        check(7, 1.1);
        check(1000, 0.0);
        check(100_000, 1.1);
    }
}
