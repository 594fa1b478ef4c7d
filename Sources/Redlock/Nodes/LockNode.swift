/// One of the independent nodes that vote on locks.
///
/// A node that fails gives a verdict; it never throws.
package protocol LockNode: Sendable {
    /// Host and port.
    var name: String { get }
    /// Whether it can be asked now.
    var isConnected: Bool { get }

    /// Stores `token` under `lock` for `ttl`, unless there is something.
    func acquire(_ lock: String, token: String, ttl: Duration, within deadline: Duration) async -> Vote.Verdict
    /// Sets the time to live to `ttl`, if `token` is still there.
    func extend(_ lock: String, token: String, ttl: Duration, within deadline: Duration) async -> Vote.Verdict
    /// Removes the lock, if `token` is still there.
    func release(_ lock: String, token: String, within deadline: Duration) async -> Vote.Verdict
}
