import Foundation
import LocalStack
import Redis
import TestSupport
import Testing

/// TLS against a real server, with certificates of the test's own.
@Suite(.timeLimit(.minutes(2)))
struct TLSTests {
    @Test
    func `a node is spoken to over TLS when its certificate is trusted and names it`() async throws {
        let (folder, port) = try await Self.makeServer()
        for host in ["localhost", "127.0.0.1"] {
            let url = "rediss://\(host):\(port)?cafile=\(folder)/ca.pem&cert=\(folder)/node.pem&key=\(folder)/node.key"
            try await withNode(url) { node, _ in
                let reply = try await node.send(RedisCommand("SET", "k", "v"), within: ample)
                #expect(reply == .simple("OK"))
            }
        }
    }

    @Test
    func `a certificate can be left unchecked`() async throws {
        let (folder, port) = try await Self.makeServer()
        let url = "rediss://localhost:\(port)?verify=none&cert=\(folder)/node.pem&key=\(folder)/node.key"
        try await withNode(url) { node, _ in
            let reply = try await node.send(RedisCommand("PING"), within: ample)
            #expect(reply == .simple("PONG"))
        }
    }

    /// The system does not know the authority; another address than the certificate's; no such file; no TLS.
    @Test(arguments: [
        ("rediss://localhost:PORT?cert=FOLDER/node.pem&key=FOLDER/node.key", "CERTIFICATE_VERIFY_FAILED"),
        ("rediss://127.0.0.2:PORT?cafile=FOLDER/ca.pem&cert=FOLDER/node.pem&key=FOLDER/node.key", "certificate"),
        ("rediss://localhost:PORT?cafile=FOLDER/none.pem", "TLS"),
        ("redis://localhost:PORT", "connection"),
    ])
    func `a node that cannot be trusted is not spoken to`(url: String, reason: String) async throws {
        let (folder, port) = try await Self.makeServer()
        let url = url.replacing("PORT", with: "\(port)").replacing("FOLDER", with: folder)
        try await withNode(url) { node, states in
            guard case .lost(let error)? = await states.next() else {
                Issue.record("trusted")
                return
            }
            #expect(error.code == .notConnected)
            #expect(error.message.contains(reason), "\(error)")
            #expect(!node.isConnected)
        }
    }

    /// Starts a server that speaks TLS on a port of its own; its certificate is for localhost and 127.0.0.1.
    private static func makeServer() async throws -> (folder: String, port: Int) {
        let folder = TestServers.makeFolder("tls")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try "subjectAltName=DNS:localhost,IP:127.0.0.1\n".write(
            toFile: "\(folder)/names",
            atomically: true,
            encoding: .utf8
        )
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        try openssl("req -x509 \(key) -days 2 -subj /CN=authority -keyout \(folder)/ca.key -out \(folder)/ca.pem")
        try openssl("req \(key) -subj /CN=localhost -keyout \(folder)/node.key -out \(folder)/node.csr")
        try openssl(
            "x509 -req -in \(folder)/node.csr -CA \(folder)/ca.pem -CAkey \(folder)/ca.key -CAcreateserial -days 2"
                + " -extfile \(folder)/names -out \(folder)/node.pem"
        )
        // The plain port's number is free on the other loopback addresses, and the server that holds it is this one.
        let plain = try await TestServers.makeRedis()
        let port = plain.port
        await plain.stop()
        _ = try await TestServers.makeRedis(options: [
            "--tls-port", "\(port)", "--tls-cert-file", "\(folder)/node.pem", "--tls-key-file", "\(folder)/node.key",
            "--tls-ca-cert-file", "\(folder)/ca.pem", "--bind", "127.0.0.1 127.0.0.2",
        ])
        return (folder, port)
    }

    private static func openssl(_ arguments: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments.split(separator: " ").map(String.init)
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "openssl \(arguments)")
    }
}
