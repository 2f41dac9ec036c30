import Foundation

/// Frames, their power, mel bands, logarithm and cosines.
struct Spectrogram {
    private let spec: Features
    private let window: [Double]
    private let bank: [MelBand]?

    init(_ spec: Features, rate: Int) {
        self.spec = spec
        let width = spec.windowLength ?? spec.size, a = spec.window == .hann ? 0.5 : 0.54
        var window = [Double](repeating: 0, count: spec.size)
        for k in 0..<width {
            window[(spec.size - width) / 2 + k] = a - (1 - a) * cos(2 * .pi * Double(k) / Double(width))
        }
        self.window = window
        bank = spec.mels.map { melBank(spec, count: $0, rate: rate) }
    }

    /// The features of a sound, in their layout.
    func of(_ samples: [Float]) -> [Float] {
        let count = spec.frames(samples.count), half = spec.center ? spec.size / 2 : 0
        var fourier = Fourier(spec.size)
        var frame = [Double](repeating: 0, count: spec.size)
        var values: [[Double]] = []
        values.reserveCapacity(count)
        for t in 0..<count {
            for k in 0..<spec.size { frame[k] = window[k] * sample(samples, t * spec.hop - half + k) }
            var power = fourier.power(frame, count: spec.size / 2 + 1)
            if spec.power == 1 { power = power.map { $0.squareRoot() } }
            values.append(bank.map { $0.map { $0.sum(power) } } ?? power)
        }
        logarithm(&values)
        if let count = spec.cosines { values = cosines(values, count) }
        return laid(values)
    }

    private func sample(_ samples: [Float], _ place: Int) -> Double {
        let end = samples.count
        if 0..<end ~= place { return Double(samples[place]) }
        if spec.padMode == .constant { return 0 }
        return Double(samples[place < 0 ? -place : 2 * end - 2 - place])
    }

    private func logarithm(_ values: inout [[Double]]) {
        if spec.log == .none { return }
        let factor = spec.log != .db ? 1.0 : spec.power == 1 ? 20 : 10
        var most = -Double.infinity
        for t in values.indices {
            for i in values[t].indices {
                let above = max(values[t][i], spec.floor) + spec.offset
                values[t][i] = factor * (spec.log == .natural ? Foundation.log(above) : Foundation.log10(above))
                most = max(most, values[t][i])
            }
        }
        guard let range = spec.range else { return }
        for t in values.indices {
            for i in values[t].indices { values[t][i] = max(values[t][i], most - range) }
        }
    }

    /// The first of the orthonormal cosines of each frame.
    private func cosines(_ values: [[Double]], _ count: Int) -> [[Double]] {
        let bands = Double(spec.mels ?? 1)
        let table = (0..<count).map { c in
            (0..<(spec.mels ?? 1)).map { cos(.pi / bands * (Double($0) + 0.5) * Double(c)) }
        }
        return values.map { row in
            table.enumerated().map { c, waves in
                zip(row, waves).reduce(0) { $0 + $1.0 * $1.1 } * ((c == 0 ? 1 : 2) / bands).squareRoot()
            }
        }
    }

    private func laid(_ values: [[Double]]) -> [Float] {
        let frames = values.count, bands = spec.bands
        var all = [Float](repeating: 0, count: frames * bands)
        for t in 0..<frames {
            for b in 0..<bands {
                let mean = spec.mean[spec.mean.count == 1 ? 0 : b], std = spec.std[spec.std.count == 1 ? 0 : b]
                all[spec.layout == .tf ? t * bands + b : b * frames + t] = Float((values[t][b] - mean) / std)
            }
        }
        return all
    }
}

/// What each frequency counts in a mel band; those that count nothing are left out.
private struct MelBand {
    let first: Int
    let weights: [Double]

    func sum(_ power: [Double]) -> Double {
        var sum = 0.0
        for i in weights.indices { sum += weights[i] * power[first + i] }
        return sum
    }
}

private func melBank(_ spec: Features, count: Int, rate: Int) -> [MelBand] {
    func mel(_ hertz: Double) -> Double {
        if spec.melScale == .htk { return 2595 * log10(1 + hertz / 700) }
        return hertz < 1000 ? 3 * hertz / 200 : 15 + 27 * log(hertz / 1000) / log(6.4)
    }
    func hertz(_ mel: Double) -> Double {
        if spec.melScale == .htk { return 700 * (pow(10, mel / 2595) - 1) }
        return mel < 15 ? 200 * mel / 3 : 1000 * exp((mel - 15) * log(6.4) / 27)
    }
    let low = mel(spec.low), high = mel(spec.high ?? Double(rate) / 2)
    let places = (0..<count + 2).map { hertz(low + (high - low) * Double($0) / Double(count + 1)) }
    return (0..<count).map { b in
        let left = places[b], middle = places[b + 1], right = places[b + 2]
        let factor = spec.melNorm == .slaney ? 2 / (right - left) : 1
        let all = (0...spec.size / 2).map { bin in
            let f = Double(bin) * Double(rate) / Double(spec.size)
            return factor * max(0, min((f - left) / (middle - left), (right - f) / (right - middle)))
        }
        guard let first = all.firstIndex(where: { $0 > 0 }), let last = all.lastIndex(where: { $0 > 0 }) else {
            return MelBand(first: 0, weights: [])
        }
        return MelBand(first: first, weights: Array(all[first...last]))
    }
}

/// The discrete Fourier transform of real numbers, of any size: split by its smallest factor, again and again.
struct Fourier {
    private let size: Int
    private let cosines: [Double]
    private let sines: [Double]
    private var real: [Double]
    private var imaginary: [Double]
    private var sums: [(Double, Double)]

    init(_ size: Int) {
        self.size = size
        cosines = (0..<size).map { cos(2 * .pi * Double($0) / Double(size)) }
        sines = (0..<size).map { -sin(2 * .pi * Double($0) / Double(size)) }
        real = [Double](repeating: 0, count: size)
        imaginary = real
        sums = [(Double, Double)](repeating: (0, 0), count: size)
    }

    /// The squared magnitudes of the first frequencies.
    mutating func power(_ values: [Double], count: Int) -> [Double] {
        transform(values, from: 0, step: 1, count: size, to: 0)
        return (0..<count).map { real[$0] * real[$0] + imaginary[$0] * imaginary[$0] }
    }

    /// Transforms every so-manieth value from a place on, so many of them, to a place of the result.
    private mutating func transform(_ values: [Double], from: Int, step: Int, count: Int, to: Int) {
        if count == 1 {
            real[to] = values[from]
            imaginary[to] = 0
            return
        }
        var factor = 2
        while count % factor != 0 { factor = factor * factor > count ? count : factor + 1 }
        let part = count / factor
        for k in 0..<factor {
            transform(values, from: from + k * step, step: step * factor, count: part, to: to + k * part)
        }
        for j in 0..<count {
            var x = 0.0, y = 0.0
            for k in 0..<factor {
                let turn = k * j * step % size, at = to + k * part + j % part
                x += real[at] * cosines[turn] - imaginary[at] * sines[turn]
                y += real[at] * sines[turn] + imaginary[at] * cosines[turn]
            }
            sums[j] = (x, y)
        }
        for j in 0..<count { (real[to + j], imaginary[to + j]) = sums[j] }
    }
}
