import Holdfast
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL

/// Sets each connection up: TLS if there is a certificate, HTTP/1.1 with its limits, and deadlines.
struct ConnectionChannel: HTTPChannelHandler {
    /// A connection, with what others know of it.
    struct Value: ServerChildChannelValue {
        let http: NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>
        let connection: OpenConnection

        var channel: any Channel { http.channel }
    }

    let responder: Responder
    let limits: ConnectionState.Limits
    let decoder: HTTP1Channel.Configuration.DecoderConfiguration
    let table: ConnectionTable
    let drain: DrainState
    let certificates: TLSCertificates?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let connection = OpenConnection(channel, now: .now())
        let admission = table.enter(connection)
        let http = HTTP1Channel(
            responder: responder,
            configuration: .init(
                additionalChannelHandlers: [
                    ConnectionHandler(connection, admission, limits: limits, table: table, drain: drain)
                ],
                httpDecoderConfiguration: decoder
            )
        )
        return channel.eventLoop.makeCompletedFuture {
            guard let certificates else { return }
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: certificates.context))
        }.flatMap { http.setup(channel: channel, logger: logger) }.flatMapThrowing { http in
            let pipeline = channel.pipeline.syncOperations
            let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
            try pipeline.addHandler(HeadRules(), position: .before(codec))
            return Value(http: http, connection: connection)
        }
    }

    func handle(value: Value, logger: Logger) async {
        await OpenConnection.$current.withValue(value.connection) {
            await handleHTTP(asyncChannel: value.http, logger: logger)
        }
        value.connection.ended()
    }
}
