use super::settings::SctpSettings;
use super::*;
pub(super) fn available() -> bool {
    false
}
pub(super) struct KernelStack;
impl KernelStack {
    pub(super) fn new(_: SctpSettings) -> Result<Self, SctpError> {
        Err(SctpError::KernelWithoutSctp)
    }
}
impl Stack for KernelStack {
    fn implementation(&self) -> Implementation {
        Implementation::Kernel
    }
    fn listen(&mut self, _: SocketAddr) -> Result<SocketAddr, SctpError> {
        Err(SctpError::KernelWithoutSctp)
    }
    fn connect(&mut self, _: Option<SocketAddr>, _: SocketAddr) -> Result<u64, SctpError> {
        Err(SctpError::KernelWithoutSctp)
    }
    fn poll_events(&mut self, _: &mut Context<'_>, _: &mut Vec<SctpEvent>) -> Poll<()> {
        Poll::Pending
    }
    fn send(&mut self, _: u64, _: u16, _: u32, _: &[u8]) -> Result<(), SendError> {
        Err(SendError::NotUp)
    }
    fn flush(&mut self) {}
    fn close(&mut self, _: u64) {}
    fn abort(&mut self, _: u64) {}
    fn close_all(&mut self) {}
    fn associations(&self) -> usize {
        0
    }
    fn counters(&self) -> SctpCounters {
        SctpCounters::default()
    }
}
