//! What the system says of the process, under the names that Prometheus has for it.

use std::fmt;
use std::path::PathBuf;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::param::{clock_ticks_per_second, page_size};

/// Looks at the process, and at the file of the record.
#[derive(Debug)]
pub(super) struct Process {
    pub record: PathBuf,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)
        };
        let bytes = || Some(Unit::Bytes);
        if let Ok(record) = std::fs::metadata(&self.record) {
            let size = record.len() as f64;
            gauge(
                "waystation_record",
                "The size of the record's file",
                bytes(),
                size,
            )?;
        }
        let Some(stat) = Stat::read() else {
            return Ok(());
        };
        let resident = "Memory in use";
        gauge("process_resident_memory", resident, bytes(), stat.resident)?;
        let started = "When the process was started, since 1970";
        gauge(
            "process_start_time",
            started,
            Some(Unit::Seconds),
            stat.started,
        )?;
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            gauge(
                "process_open_fds",
                "Open file descriptors",
                None,
                open.count() as f64,
            )?;
        }
        let cpu = ConstCounter::new(stat.cpu);
        let kind = cpu.metric_type();
        let about = "Time on the processors";
        cpu.encode(encoder.encode_descriptor("process_cpu", about, Some(&Unit::Seconds), kind)?)
    }
}

/// What `/proc` says, in bytes and seconds.
struct Stat {
    cpu: f64,
    resident: f64,
    started: f64,
}

impl Stat {
    fn read() -> Option<Stat> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name, which may hold anything, stands in parentheses. Behind it the fields count from 3 (proc_pid_stat(5)).
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = clock_ticks_per_second() as f64;
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(Stat {
            cpu: (field(14)? + field(15)?) / ticks,
            resident: field(24)? * page_size() as f64,
            started: boot.trim().parse::<f64>().ok()? + field(22)? / ticks,
        })
    }
}
