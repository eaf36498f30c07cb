package main

import (
	"fmt"
	"io"
	"math"

	"tandem/pipeline/appearance"
)

// looks are how often a face that comes is looked at before it is somebody new (see pipeline's tracker).
const looks = 3

// crossValidate prints, for several thresholds, how often somebody who comes is taken for another who left (a false
// join), and how often one who comes back is not known (a missed return): over people of the same data set, in spaces
// that they had no part in.
func crossValidate(out io.Writer, people []*person, stills [][]float32) error {
	type counts struct{ joins, others, missed, returns int }
	conditions := []struct {
		name  string
		alter func([]byte) []byte
	}{
		{"as it is", func(c []byte) []byte { return c }},
		{"20 pixels", func(c []byte) []byte { return altered(c, 20, 0, 0, 1) }},
		{"darker", func(c []byte) []byte { return altered(c, appearance.Size, 0, 0, 1.6) }},
	}
	thresholds := []float64{0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75}
	first := map[[2]int]*counts{}
	third := map[[2]int]*counts{}
	for c := range conditions {
		for t := range thresholds {
			first[[2]int{c, t}], third[[2]int{c, t}] = new(counts), new(counts)
		}
	}
	for fold := range folds {
		var learned, left []*person
		for i, p := range people {
			if i%folds == fold {
				left = append(left, p)
			} else {
				learned = append(learned, p)
			}
		}
		s, err := newSpace(learned, stills)
		if err != nil {
			return err
		}
		for _, a := range left {
			for i := range a.faces {
				known := s.place(a.faces[i].crops)
				for _, b := range left {
					if a.set != b.set {
						continue
					}
					for j := range b.faces {
						if a == b && i == j {
							continue
						}
						for c, condition := range conditions {
							alike := s.alike(known, b.faces[j].crops, condition.alter)
							for t, threshold := range thresholds {
								tally := func(k *counts, joined bool) {
									if a == b {
										k.returns++
										if !joined {
											k.missed++
										}
										return
									}
									k.others++
									if joined {
										k.joins++
									}
								}
								tally(first[[2]int{c, t}], alike[0] >= threshold)
								tally(third[[2]int{c, t}], max(alike[0], alike[1], alike[2]) >= threshold)
							}
						}
					}
				}
			}
		}
	}
	fmt.Fprintf(out, "%d people left out in %d folds; false joins and missed returns in %%\n", len(people), folds)
	for c, condition := range conditions {
		for t, threshold := range thresholds {
			f, k := first[[2]int{c, t}], third[[2]int{c, t}]
			share := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
			fmt.Fprintf(out, "%-10s %.2f: first look %5.2f %5.2f, up to %d looks %5.2f %5.2f (%d others, %d returns)\n",
				condition.name, threshold, share(f.joins, f.others), share(f.missed, f.returns), looks,
				share(k.joins, k.others), share(k.missed, k.returns), k.others, k.returns)
		}
	}
	return nil
}

// look returns a crop's place in the space, of length 1.
func (s *space) look(crop []byte) []float64 {
	h := appearance.Histogram(crop)
	if h == nil {
		return make([]float64, dim)
	}
	v := make([]float64, dim)
	var squares float64
	for i := range v {
		for j := range i + 1 {
			v[i] += s.lower.At(i, j) * (float64(h[j]) - s.mean[j])
		}
		squares += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(squares)
	}
	return v
}

// place returns the mean of the places of crops.
func (s *space) place(crops [][]byte) []float64 {
	mean := make([]float64, dim)
	for _, c := range crops {
		for i, v := range s.look(c) {
			mean[i] += v
		}
	}
	return mean
}

// alike returns how alike what is known is to the first crop, to the mean of two, and so on.
func (s *space) alike(known []float64, crops [][]byte, alter func([]byte) []byte) (out [looks]float64) {
	mean := make([]float64, dim)
	for k := range out {
		for i, v := range s.look(alter(crops[min(k, len(crops)-1)])) {
			mean[i] += v
		}
		out[k] = cosine(known, mean)
	}
	return out
}

func cosine(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	return ab / math.Sqrt(aa*bb)
}
