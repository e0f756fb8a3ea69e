//! History for charts.

/// The numbers of one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPoint {
    /// The length of the period.
    pub step_seconds: u32,
    /// The number of the period: how many such periods have passed since 1970, by the calendar.
    pub slot: i64,
    /// The numbers, as JSON.
    pub point: String,
}

/// The periods of one length that the store keeps: from `first` to `last`. Others are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptHistory {
    /// The length of the periods.
    pub step_seconds: u32,
    /// The number of the first period.
    pub first: i64,
    /// The number of the last period.
    pub last: i64,
}
