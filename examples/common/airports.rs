//! The data of the examples: 1,043 real airports from `examples/data/airports.csv`.

use audited::audited_fields;
use serde::{Deserialize, Serialize};

/// One row of the file. Changes of all fields are recorded, except those of the IATA code.
#[audited_fields(all, except(iata_code); key = ident, label = name, name = "airport")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Airport {
    pub(crate) ident: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) municipality: String,
    pub(crate) iata_code: String,
    pub(crate) latitude_deg: f64,
    pub(crate) longitude_deg: f64,
    pub(crate) elevation_ft: String,
}

/// Reads all rows.
pub(crate) fn read() -> Result<Vec<Airport>, csv::Error> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/airports.csv");
    csv::Reader::from_path(file)?.deserialize().collect()
}
