import Redis
import Testing

struct RedisEndpointTests {
    private static let verified = RedisEndpoint.TLS()

    private static var unverified: RedisEndpoint.TLS {
        var tls = RedisEndpoint.TLS()
        tls.verifiesNode = false
        return tls
    }

    private static var mutual: RedisEndpoint.TLS {
        var tls = RedisEndpoint.TLS()
        (tls.authoritiesFile, tls.certificateFile, tls.keyFile) = ("/a/ca.pem", "/a b.pem", "/k.pem")
        return tls
    }

    @Test(arguments: [
        ("redis://redis-2", RedisEndpoint(.tcp(host: "redis-2", port: 6379)), "redis-2:6379"),
        ("redis://10.0.0.1:7000/", RedisEndpoint(.tcp(host: "10.0.0.1", port: 7000)), "10.0.0.1:7000"),
        ("REDIS://h/3", RedisEndpoint(.tcp(host: "h", port: 6379), database: 3), "h:6379"),
        ("redis://[::1]:7000", RedisEndpoint(.tcp(host: "::1", port: 7000)), "[::1]:7000"),
        ("redis://[fe80::1]", RedisEndpoint(.tcp(host: "fe80::1", port: 6379)), "[fe80::1]:6379"),
        ("redis://:secret@h", RedisEndpoint(.tcp(host: "h", port: 6379), password: "secret"), "h:6379"),
        (
            "redis://ann:p%40s%2Fs%3a%25@h:1/2",
            RedisEndpoint(.tcp(host: "h", port: 1), user: "ann", password: "p@s/s:%", database: 2), "h:1"
        ),
        ("redis://ann:a@b:c@h", RedisEndpoint(.tcp(host: "h", port: 6379), user: "ann", password: "a@b:c"), "h:6379"),
        ("rediss://h", RedisEndpoint(.tcp(host: "h", port: 6379), tls: verified), "h:6379"),
        (
            "rediss://h/1?verify=none", RedisEndpoint(.tcp(host: "h", port: 6379), database: 1, tls: unverified),
            "h:6379"
        ),
        (
            "rediss://h?cafile=/a/ca.pem&cert=/a%20b.pem&key=/k.pem&verify=full",
            RedisEndpoint(.tcp(host: "h", port: 6379), tls: mutual), "h:6379"
        ),
        ("unix:///run/redis.sock", RedisEndpoint(.unixSocket(path: "/run/redis.sock")), "/run/redis.sock"),
        (
            "redis+unix://:secret@/run/a%20b.sock?db=2",
            RedisEndpoint(.unixSocket(path: "/run/a b.sock"), password: "secret", database: 2), "/run/a b.sock"
        ),
    ])
    func `a URL is read`(url: String, endpoint: RedisEndpoint, description: String) throws {
        #expect(try RedisEndpoint(url) == endpoint)
        #expect(try RedisEndpoint(url).description == description)
    }

    @Test(arguments: [
        ("", "scheme"), ("localhost:6379", "scheme"), ("http://h", "scheme"), ("redis://", "host"),
        ("redis://:6379", "host"),
        ("redis://h:0", "port"), ("redis://h:65536", "port"), ("redis://h:+1", "port"), ("redis://h:", "port"),
        ("redis://h:x", "port"),
        ("redis://::1", "IPv6"), ("redis://[::1", "bracket"), ("redis://[::1]x", "port"), ("redis://a b", "host"),
        ("redis://h/x", "database"), ("redis://h/-1", "database"), ("redis://h/99999999999", "database"),
        ("redis://h?x=1", "\"x\""),
        ("redis://h?verify=none", "\"verify\""), ("rediss://h?verify=perhaps", "verify"),
        ("rediss://h?cert=/c", "cert"), ("rediss://h?a", "="),
        ("redis://hunter2@h", "password"), ("redis://ann:hunter2%@h", "password"),
        ("redis://ann:hunter2%f@h", "password"),
        ("redis://ann:hunter2%ff@h", "password"), ("redis://ann:hunter2%00@h", "password"),
        ("redis://%zz:hunter2@h", "user"),
        ("redis://ann:hunter2#x@h", "fragment"), ("redis://ann:hunter2/x@h", "port"),
        ("unix://run/redis.sock", "slashes"), ("unix:///", "socket"),
        ("unix://", "socket"), ("redis://ann:hunter2@h:x", "port"),
        ("unix:///" + String(repeating: "x", count: 108), "107"),
    ])
    func `an error names what is wrong and shows no password`(url: String, part: String) {
        do throws(RedisError) {
            let endpoint = try RedisEndpoint(url)
            Issue.record("read as \(endpoint)")
        } catch {
            #expect(error.code == .badEndpoint)
            #expect(error.message.contains(part))
            #expect(!"\(error)\(String(reflecting: error))".contains("hunter2"))
        }
    }

    @Test
    func `an endpoint prints without its password`() throws {
        let endpoint = try RedisEndpoint("redis://ann:hunter2@h")
        var dumped = "\(endpoint) \(String(reflecting: endpoint)) \([endpoint])"
        dump(endpoint, to: &dumped)
        #expect(!dumped.contains("hunter2"))
    }
}
