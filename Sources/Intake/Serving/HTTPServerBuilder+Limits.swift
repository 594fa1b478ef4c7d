import Holdfast
package import HummingbirdCore
package import Logging

extension HTTPServerBuilder {
    /// HTTP/1.1 with the limits of an intake, on a port that serves something else.
    ///
    /// - Parameters:
    ///   - configuration: Its limits; where it listens is not looked at.
    ///   - logger: Told when a limit is reached.
    /// - Returns: For Hummingbird's `Application`.
    package static func limited(_ configuration: IntakeConfiguration, logger: Logger) -> HTTPServerBuilder {
        let budget = ByteBudget(limit: configuration.waitingMegabytes << 20)
        let table = ConnectionTable(limit: configuration.maxConnections, budget: budget, logger: logger)
        return limited(configuration, table, certificates: nil, drain: DrainState())
    }

    static func limited(
        _ configuration: IntakeConfiguration,
        _ table: ConnectionTable,
        certificates: TLSCertificates?,
        drain: DrainState
    ) -> HTTPServerBuilder {
        HTTPServerBuilder { responder in
            ConnectionChannel(
                responder: responder,
                limits: ConnectionState.Limits(configuration),
                decoder: .init(
                    maxHeaderFieldSize: configuration.maxHeadBytes,
                    maxHeaderListSize: configuration.maxHeadBytes,
                    maxHeaderFieldCount: configuration.maxHeaderFields
                ),
                table: table,
                drain: drain,
                certificates: certificates
            )
        }
    }
}
