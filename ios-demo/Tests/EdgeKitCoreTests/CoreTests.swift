import Foundation
import Testing

@testable import EdgeKitCore

@Suite("The core") struct CoreTests {
    @Test("SHA-256 of known messages", arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    ])
    func digests(message: String, expected: String) {
        let own = SHA256.digest(Array(message.utf8)).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        #expect(own == expected)
        #expect(sha256(Array(message.utf8)) == expected)
    }

    @Test("SHA-256 at every length of the last block") func digestLengths() {
        // Digests of digests: one wrong block would change the end. The value is hashlib's.
        var sum: [UInt8] = []
        for length in 0...130 { sum = SHA256.digest(sum + (0..<length).map { UInt8($0) }) }
        #expect(sha256(sum) == "75b59ce92c9d9423efb4700b07fac1116183099e6246db7a03a4c1d02e439e34")
    }

    @Test("SHA-256 of a million letters") func longDigest() {
        let message = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        #expect(sha256(message) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test("The checksum of zip") func checksum() {
        #expect(crc32(Array("123456789".utf8)) == 0xcbf4_3926)
        #expect(crc32([]) == 0)
    }

    @Test("Half precision becomes the same number") func halves() throws {
        let patterns: [(UInt16, Double)] = [
            (0x0000, 0), (0x0001, 0x1p-24), (0x03ff, 1023 * 0x1p-24), (0x0400, 0x1p-14), (0x3c00, 1), (0xc000, -2),
            (0x7bff, 65504), (0x7c00, .infinity), (0x3555, 0.333251953125),
        ]
        for (bits, value) in patterns {
            let tensor = try #require(Tensor(name: "x", dtype: .float16, shape: [1], bytes: [UInt8(bits & 0xff), UInt8(bits >> 8)]))
            #expect(tensor.doubles() == [value])
        }
    }

    @Test("Bytes that do not fit type and shape are no tensor") func tensorSize() {
        #expect(Tensor(name: "x", dtype: .int64, shape: [1, 2], bytes: [UInt8](repeating: 0, count: 16)) != nil)
        #expect(Tensor(name: "x", dtype: .int64, shape: [1, 2], bytes: [UInt8](repeating: 0, count: 8)) == nil)
    }

    @Test("Versions compare by number, not by letter", arguments: [
        ("1.5.1", "1.5.1", false), ("1.5.0", "1.5.1", true), ("1.10.0", "1.9.0", false), ("1.9", "1.10", true),
        ("2", "1.32.0", false), ("1.32", "1.32.0", false), ("1.5.1rc1", "1.5.1", false),
    ])
    func versions(version: String, needed: String, older: Bool) {
        #expect(isOlder(version, than: needed) == older)
    }

    @Test("Percentiles lie between two values as numpy's do") func percentiles() {
        let latency = Latency(load: 0, first: 0, sorted: [1, 2, 3, 4])
        #expect(latency.percentile(0.5) == 2.5)
        #expect(abs(latency.percentile(0.95) - 3.85) < 1e-12)
        #expect(Latency(load: 0, first: 0, sorted: [7]).percentile(0.99) == 7)
    }

    @Test("Limits of one output are put over those for all") func outputLimits() throws {
        let text = """
            {"device": {"min_sqnr_db": 25}, "total": {"min_cosine": 0.9, "custom": {"psnr": {"min": 30, "max": null}}},
             "outputs": {"boxes": {"total": {"min_cosine": 0.5}}}}
            """
        let budget = try JSONDecoder().decode(Budget.self, from: Data(text.utf8))
        #expect(budget.limits(.total, output: "boxes").values == ["min_cosine": 0.5, "min_psnr": 30])
        #expect(budget.limits(.total, output: "scores").values == ["min_cosine": 0.9, "min_psnr": 30])
        #expect(budget.limits(.device, output: "boxes").values == ["min_sqnr_db": 25])
        let judged = budget.limits(.total, output: "scores").judge(device: Metrics(), host: nil)
        #expect(judged.map(\.limit) == ["min_cosine", "min_psnr"])
        #expect(judged.map(\.result) == [.kept, .notJudged])
    }

    @Test("Nothing was dropped yet: the failure says which command to run") func noBundle() {
        for resources in [nil, URL(filePath: "/nowhere")] {
            do {
                _ = try DroppedBundle.dropped(in: resources)
                Issue.record("an app without a bundle found one")
            } catch {
                #expect((error as? Failure)?.code == .noBundle)
                #expect("\(error)".contains("edgekit drop ios-demo"))
            }
        }
    }
}
