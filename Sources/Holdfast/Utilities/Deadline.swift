/// Runs `body`, cancels it when the time is up, and does not wait longer than its cancellation takes.
///
/// - Returns: What it returns; `nil` when the time was up first.
package func within<Value: Sendable>(
    _ limit: Duration,
    _ body: @escaping @Sendable () async -> Value
) async -> Value? {
    await withTaskGroup(of: Value?.self) { group in
        group.addTask { await body() }
        group.addTask {
            try? await Task.sleep(for: limit)  // Cancelled: the answer came first.
            return nil
        }
        defer { group.cancelAll() }
        return await group.next()!  // There are two.
    }
}
