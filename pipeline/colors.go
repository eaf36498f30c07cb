package pipeline

// subjectColors are of one brightness (a relative luminance of about 0.25), so that dark letters can be read on them
// and they stand out from white and from black. Neighbours differ for people with the common colour blindnesses too.
var subjectColors = [][3]uint8{
	{0x3a, 0x8e, 0xea},
	{0xd9, 0x73, 0x1a},
	{0x2f, 0x9e, 0x58},
	{0xd5, 0x59, 0xb0},
	{0x1a, 0x98, 0xa6},
	{0x94, 0x8a, 0x1c},
	{0x9a, 0x74, 0xec},
	{0xea, 0x5a, 0x55},
}

// SubjectColor returns the colour (red, green, blue) by which a subject, 0 or above, is shown wherever it is. It is
// never the only sign: there are more subjects than colours.
func SubjectColor(subject int) [3]uint8 { return subjectColors[subject%len(subjectColors)] }
