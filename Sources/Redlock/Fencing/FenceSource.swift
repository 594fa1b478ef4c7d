/// Where fences come from: one sequence, of which each number is drawn once and no restart takes any back.
///
/// A sequence of a database is one (`nextval` in PostgreSQL), and so is a counter in etcd, ZooKeeper or another store that
/// agrees by consensus. A counter on a majority of the lock nodes is not: a node that restarts without its last write, or
/// that two clients reach in a different order, gives the same number twice, in the very cases that a fence is for.
public protocol FenceSource: Sendable {
    /// Draws the next number; called while the lock is held.
    ///
    /// - Returns: A number higher than any that was drawn before this call began.
    func next() async throws -> Fence
}
