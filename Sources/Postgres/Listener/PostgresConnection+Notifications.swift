import CLibPQ
import Dispatch

extension PostgresConnection {
    /// Waits for notifications, without a thread, until the connection ends or the task is cancelled.
    ///
    /// - Parameter deliver: Gets channel and payload, on the connection's queue.
    /// - Returns: Why it ended; `nil` when the task was cancelled.
    func serveNotifications(_ deliver: @escaping @Sendable (String, String) -> Void) async -> PostgresError? {
        let (ends, end) = AsyncStream.makeStream(of: PostgresError.self, bufferingPolicy: .bufferingOldest(1))
        let source = DispatchSource.makeReadSource(fileDescriptor: handle.descriptor, queue: queue.queue)
        source.setEventHandler { [weak self] in
            self?.assumeIsolated { connection in
                if let error = connection.takeNotifications(deliver) { end.yield(error) }
            }
        }
        // The descriptor must outlive the source.
        source.setCancelHandler { [handle] in withExtendedLifetime(handle) {} }
        source.activate()
        defer { source.cancel() }
        // What came right behind the answer to LISTEN is in libpq's buffer, where the source does not see it.
        if let error = takeNotifications(deliver) { return error }
        for await error in ends { return error }
        return nil
    }

    /// - Returns: Why the connection ended; `nil` while it lives.
    private func takeNotifications(_ deliver: (String, String) -> Void) -> PostgresError? {
        guard !isBroken else { return nil }
        // Until nothing is left: on Linux a source does not fire again for an end that it saw together with the last data.
        while true {
            let isAlive = PQconsumeInput(handle.pointer) == 1
            while let notification = PQnotifies(handle.pointer) {
                deliver(String(cString: notification.pointee.relname), String(cString: notification.pointee.extra))
                PQfreemem(notification)
            }
            guard isAlive else { break }
            guard handle.hasInput else { return nil }
        }
        giveUp()
        return PostgresError(.connectionLost, handle.errorMessage)
    }
}
