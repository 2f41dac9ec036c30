#if canImport(CryptoKit)
import CryptoKit
#endif

/// The SHA-256 of some bytes as 64 hexadecimal digits.
public func sha256(_ bytes: [UInt8]) -> String {
    #if canImport(CryptoKit)
    let digest = Array(CryptoKit.SHA256.hash(data: bytes))
    #else
    let digest = SHA256.digest(bytes)
    #endif
    let digits = Array("0123456789abcdef")
    return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}

/// SHA-256 as FIPS 180-4 has it, for platforms without CryptoKit.
enum SHA256 {
    static func digest(_ message: [UInt8]) -> [UInt8] {
        var state: [UInt32] = [
            0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
        ]
        let whole = message.count / 64 * 64
        message.withUnsafeBufferPointer { bytes in
            for block in stride(from: 0, to: whole, by: 64) { compress(&state, bytes, block) }
        }
        // The rest, a one bit, zeros, and the length in bits.
        var tail = Array(message[whole...]) + [0x80]
        tail += [UInt8](repeating: 0, count: (120 - tail.count % 64) % 64)
        let bits = UInt64(message.count) * 8
        for shift in stride(from: UInt64(56), through: 0, by: -8) { tail.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        tail.withUnsafeBufferPointer { bytes in
            for block in stride(from: 0, to: bytes.count, by: 64) { compress(&state, bytes, block) }
        }
        return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * $0)) } }
    }

    private static func compress(_ state: inout [UInt32], _ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { words in
            for i in 0..<16 {
                let at = start + 4 * i
                words[i] = (0..<4).reduce(0) { $0 << 8 | UInt32(bytes[at + $1]) }
            }
            for i in 16..<64 {
                let a = words[i - 15], b = words[i - 2]
                let first: UInt32 = turned(a, 7) ^ turned(a, 18) ^ (a >> 3)
                let second: UInt32 = turned(b, 17) ^ turned(b, 19) ^ (b >> 10)
                words[i] = words[i - 16] &+ words[i - 7] &+ first &+ second
            }
            var (a, b, c, d) = (state[0], state[1], state[2], state[3])
            var (e, f, g, h) = (state[4], state[5], state[6], state[7])
            for i in 0..<64 {
                let mixed: UInt32 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
                let choice: UInt32 = (e & f) ^ (~e & g)
                let first: UInt32 = h &+ mixed &+ choice &+ constants[i] &+ words[i]
                let other: UInt32 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
                let majority: UInt32 = (a & b) ^ (a & c) ^ (b & c)
                let second: UInt32 = other &+ majority
                (h, g, f, e) = (g, f, e, d &+ first)
                (d, c, b, a) = (c, b, a, first &+ second)
            }
            for (i, word) in [a, b, c, d, e, f, g, h].enumerated() { state[i] &+= word }
        }
    }

    private static func turned(_ word: UInt32, _ bits: UInt32) -> UInt32 { word >> bits | word << (32 - bits) }

    /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
    private static let constants: [UInt32] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ]
}
