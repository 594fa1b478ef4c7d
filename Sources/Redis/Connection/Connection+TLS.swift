import NIOCore
import NIOPosix
import NIOSSL

extension Connection {
    /// What a connection needs to be encrypted.
    struct TLS: Sendable {
        private let context: NIOSSLContext
        private let serverName: String?

        /// Loads the files that the endpoint names; gives `nil` for an endpoint without TLS.
        init?(_ endpoint: RedisEndpoint) throws {
            guard let tls = endpoint.tls, case .tcp(let host, _) = endpoint.address else { return nil }
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            configuration.certificateVerification = tls.verifiesNode ? .fullVerification : .none
            if let file = tls.authoritiesFile { configuration.trustRoots = .file(file) }
            if let file = tls.certificateFile {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(file).map { .certificate($0) }
            }
            if let file = tls.keyFile {
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
            }
            context = try NIOSSLContext(configuration: configuration)
            // An IP address is no name that TLS could send. It is then compared with the addresses in the certificate.
            serverName = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
        }

        /// Makes the handler of one connection.
        func makeHandler() throws -> NIOSSLClientHandler {
            try NIOSSLClientHandler(context: context, serverHostname: serverName)
        }
    }
}
