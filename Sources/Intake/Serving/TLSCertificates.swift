import NIOSSL
import Synchronization

/// The certificate that new connections are shown; those that are open keep the one they had.
package final class TLSCertificates: Sendable {
    /// Why a certificate cannot be used.
    package struct Unusable: Error, CustomStringConvertible { package let description: String }

    private let certificatePath: String
    private let keyPath: String
    private let current: Mutex<NIOSSLContext>

    /// - Parameters:
    ///   - certificate: A PEM file: the certificate, then those that vouch for it.
    ///   - key: A PEM file with its private key.
    /// - Throws: ``Unusable``.
    package init(certificate: String, key: String) throws(Unusable) {
        certificatePath = certificate
        keyPath = key
        current = Mutex(try Self.read(certificate, key))
    }

    var context: NIOSSLContext { current.withLock { $0 } }

    /// Reads the files again; on an error what there was stays.
    package func reload() throws(Unusable) {
        let new = try Self.read(certificatePath, keyPath)
        current.withLock { $0 = new }
    }

    private static func read(_ certificate: String, _ key: String) throws(Unusable) -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(certificate).map { NIOSSLCertificateSource.certificate($0) }
            guard !chain.isEmpty else { throw Unusable(description: "\(certificate) has no certificate in it") }
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain,
                privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            )
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            return try NIOSSLContext(configuration: configuration)
        } catch let error as Unusable {
            throw error
        } catch {
            throw Unusable(
                description: "the certificate \(certificate) and the key \(key) cannot be used together: \(error)"
            )
        }
    }
}
