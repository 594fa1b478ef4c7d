package import Logging

/// Hears what is notified on some channels, over one connection that it opens again when it is lost.
package struct PostgresListener: Sendable {
    package enum Event: Sendable, Equatable {
        /// Someone notified a channel.
        case notification(channel: String, payload: String)
        /// The channels are heard from now on; what was notified before, while there was no connection, was missed.
        case connected
    }

    private let configuration: PostgresConfiguration
    private let channels: [String]
    private let logger: Logger
    private let onEvent: @Sendable (Event) -> Void
    private let backoff = Backoff()

    /// Makes a listener, which hears nothing before ``run()``.
    ///
    /// - Parameters:
    ///   - configuration: How to connect.
    ///   - channels: Their names as `pg_notify` spells them.
    ///   - logger: For the beginning and the end of an outage.
    ///   - onEvent: Gets the events in order, on the connection's queue or the caller's executor. It must not block.
    package init(
        configuration: PostgresConfiguration,
        channels: [String],
        logger: Logger,
        onEvent: @escaping @Sendable (Event) -> Void
    ) {
        self.configuration = configuration
        self.channels = channels
        self.logger = logger
        self.onEvent = onEvent
    }

    /// Serves until the task is cancelled, and connects again whenever the connection is lost.
    package func run() async {
        var failures = 0
        var outage = OutageNotice()
        while !Task.isCancelled {
            do throws(PostgresError) {
                let connection = try await listen()
                if let length = outage.succeeded() { logger.info("Listening again", metadata: ["after": "\(length)"]) }
                failures = 0
                onEvent(.connected)
                let end = await connection.serveNotifications { onEvent(.notification(channel: $0, payload: $1)) }
                guard let end else { return }
                throw end
            } catch {
                guard !Task.isCancelled else { return }
                failures += 1
                if outage.failed() { logger.warning("Not listening", metadata: ["error": "\(error)"]) }
                // Only cancellation ends the sleep early, and the loop with it.
                try? await Task.sleep(for: backoff.delay(failures: failures, jitter: .random(in: 0...1)))
            }
        }
    }

    private func listen() async throws(PostgresError) -> PostgresConnection {
        let connection = try await PostgresConnection.open(configuration, logger: logger)
        let script = channels.map { "listen \($0.quotedIdentifier);" }.joined(separator: "\n")
        try await connection.executeScript(script, name: "listen")
        return connection
    }
}

extension String {
    fileprivate var quotedIdentifier: String {
        "\"" + split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
