import Holdfast
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOSSL

/// Sets each connection up: TLS if there is a certificate, HTTP/1.1 with its limits, and deadlines.
struct ConnectionChannel: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: Responder
    let limits: ConnectionState.Limits
    let decoder: HTTP1Channel.Configuration.DecoderConfiguration
    let table: ConnectionTable
    let drain: DrainState
    let certificates: TLSCertificates?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let connection = OpenConnection(channel, now: .now())
        let isAdmitted = table.enter(connection)
        let http = HTTP1Channel(
            responder: responder,
            configuration: .init(
                additionalChannelHandlers: [
                    ConnectionHandler(connection, isAdmitted: isAdmitted, limits: limits, table: table, drain: drain)
                ],
                httpDecoderConfiguration: decoder
            )
        )
        return channel.eventLoop.makeCompletedFuture {
            guard let certificates else { return }
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: certificates.context))
        }.flatMap { http.setup(channel: channel, logger: logger) }
    }

    func handle(value: Value, logger: Logger) async { await handleHTTP(asyncChannel: value, logger: logger) }
}
