//! tmp
use super::{DemoArgs, Exit};
pub(super) async fn demo(_args: DemoArgs) -> Exit {
    Exit::Failed
}
