package dataset

import (
	"fmt"
	"strings"
)

// About describes a data set to who does not have it yet.
type About struct {
	Title     string `json:"title"`
	What      string `json:"what"`      // the people, pictures and sounds in it
	Publisher string `json:"publisher"` // where to get it
	Download  string `json:"download"`  // which of the published files
	Layout    string `json:"layout"`    // the files that PATH must hold then
	Terms     string `json:"terms"`
	Paper     string `json:"paper"`
	Clips     int    `json:"clips"` // clips that the whole release gives, 0 if there is no such number
	Options   string `json:"options,omitempty"`
}

// AboutOf returns the description of a data set by a name that ParseName takes; errors are ParseName's.
func AboutOf(name string) (About, error) {
	base, _, err := ParseName(name)
	if err != nil {
		return About{}, err
	}
	return datasets[base].about, nil
}

// String returns the description as lines of text.
func (a About) String() string {
	b := &strings.Builder{}
	for _, line := range [][2]string{
		{"", a.Title},
		{"what", a.What},
		{"from", a.Publisher},
		{"get", a.Download},
		{"terms", a.Terms},
		{"paper", a.Paper},
		{"PATH holds", a.Layout},
		{"options", a.Options},
	} {
		switch {
		case line[1] == "":
		case line[0] == "":
			fmt.Fprintln(b, line[1])
		default:
			fmt.Fprintf(b, "  %-11s %s\n", line[0], line[1])
		}
	}
	return b.String()
}

// The terms are as far as known; docs/datasets.md has them too.
var (
	aboutRAVDESS = About{
		Title: "RAVDESS: The Ryerson Audio-Visual Database of Emotional Speech and Song",
		What: "24 actors (12 women, 12 men) speak 2 sentences in 8 emotions; the faces as video, the voices as " +
			"sound, or both",
		Publisher: "Ryerson University (now Toronto Metropolitan University), on Zenodo, record DOI " +
			"10.5281/zenodo.1188976",
		Download: "Audio_Speech_Actors_01-24.zip for the voices, Video_Speech_Actor_01.zip to _24.zip for faces " +
			"with voices; not the Song archives",
		Layout: "the unpacked Actor_NN folders: …/MM-VC-EM-IN-ST-RE-AC.wav, .flac or .mp4",
		Terms:  "CC BY-NC-SA 4.0",
		Paper:  "Livingstone and Russo 2018, DOI 10.1371/journal.pone.0196391",
		Clips:  1440,
		Options: "ravdess:audio, ravdess:video, ravdess:both take only the files that are sound, pictures, or " +
			"both; default: both where there are, else what there is",
	}
	aboutCREMAD = About{
		Title: "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset",
		What: "91 actors (43 women, 48 men) of several ages and races speak 12 sentences in 6 emotions; face " +
			"and voice",
		Publisher: "the CREMA-D repository of Cheyney Computer Science on GitHub; its media files are kept in Git LFS",
		Download: "the whole repository with git lfs; at the least VideoDemographics.csv with AudioWAV or " +
			"VideoFlash, and processedResults for the crowd's votes",
		Layout: "AudioWAV/1001_DFA_ANG_XX.wav (or .flac, .opus, in any folder), VideoFlash/….flv (or " +
			"VideoMP4/….mp4), VideoDemographics.csv, processedResults/summaryTable.csv",
		Terms: "ODbL 1.0, contents under the Database Contents License 1.0",
		Paper: "Cao et al. 2014, DOI 10.1109/TAFFC.2014.2336244",
		Clips: 7442,
		Options: "default: the emotion that the actor intended; cremad:vote the one that most raters of face and " +
			"voice named, cremad:vote-voice of the voice alone, cremad:vote-face of the face alone",
	}
	aboutIEMOCAP = About{
		Title: "IEMOCAP: Interactive Emotional Dyadic Motion Capture Database",
		What: "10 actors (5 women, 5 men) in 5 sessions of two, scripted and improvised dialogues, 10 labels by " +
			"raters; face and voice",
		Publisher: "the Signal Analysis and Interpretation Laboratory (SAIL), University of Southern California, by " +
			"request with a signed release form",
		Download: "IEMOCAP_full_release",
		Layout: "Session1 to Session5, each with dialog/EmoEvaluation/….txt, sentences/wav/…/….wav, " +
			"dialog/avi/DivX/….avi",
		Terms: "research only, by a signed release form; not to be passed on",
		Paper: "Busso et al. 2008, DOI 10.1007/s10579-008-9076-6",
		Clips: 10039,
		Options: "iemocap:exc lets excitement count as happiness; iemocap:paper takes what Chae et al. 2018 did: " +
			"neutral, anger, happiness, sadness, utterances of at most 8 s; iemocap:paper+exc both",
	}
	aboutEmoDB = About{
		Title:     "EmoDB: Berlin Database of Emotional Speech",
		What:      "10 actors (5 women, 5 men) speak 10 German sentences in 7 emotions; voice",
		Publisher: "Technical University of Berlin, Institute of Communication Science",
		Download:  "the archive with the folder wav",
		Layout:    "wav/03a01Fa.wav (or .flac)",
		Terms:     "free for research",
		Paper:     "Burkhardt et al. 2005, DOI 10.21437/Interspeech.2005-446",
		Clips:     535,
	}
	aboutFER2013 = About{
		Title: "FER2013: Facial Expression Recognition 2013",
		What: "35887 grey pictures of faces from a web search, 48 pixels wide, in 7 emotions; persons are not " +
			"named",
		Publisher: "Kaggle, competition Challenges in Representation Learning: Facial Expression Recognition " +
			"Challenge (ICML 2013)",
		Download: "fer2013.tar.gz, which holds fer2013.csv; or one of its conversions to folders of pictures",
		Layout: "fer2013.csv (columns emotion,pixels,Usage), or train/angry/1.jpg, val/…, test/…; PATH may be the " +
			"csv itself",
		Options: "default: the published label; fer2013:plus takes the votes of ten people for each picture, which " +
			"FER+ publishes as fer2013new.csv (MIT), from beside the pictures",
		Terms: "research only",
		Paper: "Goodfellow et al. 2013, arXiv 1307.0414",
		Clips: 35887,
	}
	aboutUTKFace = About{
		Title: "UTKFace",
		What: "over 20000 pictures of faces from the web with age, gender and race, guessed by a program and " +
			"checked by people; persons are not named",
		Publisher: "Yang Song and Zhifei Zhang, University of Tennessee, Knoxville, on the project's page UTKFace",
		Download:  "Aligned&Cropped Faces (UTKFace.tar.gz)",
		Layout:    "26_1_0_20170116184024662.jpg.chip.jpg (or .jpg, .png): AGE_GENDER_RACE_DATE",
		Terms:     "non-commercial research only",
		Paper:     "Zhang, Song and Qi 2017, arXiv 1702.08423",
		Clips:     23708,
	}
	aboutJavaSED = About{
		Title: "Java-SED: Javanese Speech Emotion Database",
		What: "10 speakers say 4 Javanese sentences in 6 emotions (no disgust), 7 times; the first time as face and " +
			"voice, all as voice",
		Publisher: "2black0 (Ardy Seto Priambodo, Yogyakarta State University) on GitHub, repositories " +
			"sound-emotion-recognition-javanese and video-emotion-recognition-javanese",
		Download: "dataset of the sound repository for voices, dataset-resize of the video repository for faces with " +
			"voices, into one folder",
		Layout: "01-02-03_04.wav (or .flac, .opus), 01-02-03_01.mp4, in folders of any depth: " +
			"SPEAKER-SENTENCE-EMOTION_REPETITION",
		Terms: "MIT, by the licence files of both repositories; the videos' was added later",
		Paper: "Arifin, Priambodo, Nasuha, Winursito and Gunawan 2022, Development of Javanese Speech Emotion Database",
		Clips: 1680,
	}
	aboutASED = About{
		Title: "ASED: Amharic Speech Emotion Dataset",
		What: "65 speakers (25 women, 40 men) of four dialects of Amharic in 5 emotions (neither disgust nor " +
			"surprise), kept where 5 of 8 judges agreed; voice",
		Publisher: "Northwest University, Xi'an, on GitHub, repository Ethio2021/ASED_V1",
		Download:  "the whole repository",
		Layout: "01Neutral, 02Fearful, 03Happy, 04Sad and 05Angry with …/a5-03-01-02-50.wav (or .flac, .opus): " +
			"EMOTION-SENTENCE-REPETITION-GENDER-SPEAKER",
		Terms: "none published; free for research, asks to be cited",
		Paper: "Retta et al. 2022, DOI 10.1145/3529759",
		Clips: 2474,
	}
	aboutNEMO = About{
		Title: "nEMO: Dataset of Emotional Speech in Polish",
		What: "9 actors (4 women, 5 men) of 23 to 28 years speak 90 Polish sentences in 6 emotions (no disgust); " +
			"voice",
		Publisher: "Adam Mickiewicz University, Poznań, on GitHub, repository amu-cai/nEMO",
		Download:  "the folder samples",
		Layout:    "samples/WR0_sadness_1.wav (or .flac, .opus): SPEAKER_EMOTION_SENTENCE",
		Terms:     "CC BY-NC-SA 4.0",
		Paper:     "Christop 2024, arXiv 2404.06292",
		Clips:     4481,
	}
	aboutUrdu = About{
		Title: "URDU: spontaneous emotional Urdu speech",
		What: "29 speakers (11 women, 18 men; the publishers count 38) of talk shows in 4 emotions (angry, happy, " +
			"neutral, sad; no woman is angry); voice",
		Publisher: "Siddique Latif on GitHub, repository siddiquelatif/URDU-Dataset",
		Download:  "the whole repository",
		Layout:    "Angry, Happy, Neutral and Sad with …/SM1_F1_A01.wav (or .flac, .opus): SPEAKER_FILE_EMOTION",
		Terms:     "research only",
		Paper:     "Latif et al. 2018, Cross lingual speech emotion recognition: Urdu vs. western languages",
		Clips:     400,
	}
	aboutTESS = About{
		Title: "TESS: Toronto emotional speech set",
		What: "2 actresses of 26 and 64 years say 200 English words in the sentence \"Say the word …\" in 7 " +
			"emotions; voice",
		Publisher: "University of Toronto, Psychology Department, on Borealis (Scholars Portal Dataverse), " +
			"DOI 10.5683/SP2/E8H2MF",
		Download: "all .wav files",
		Layout:   "OAF_back_angry.wav (or .flac, .opus), in folders of any depth: SPEAKER_WORD_EMOTION",
		Terms:    "CC BY-NC-ND 4.0",
		Paper:    "Pichora-Fuller and Dupuis 2020, DOI 10.5683/SP2/E8H2MF",
		Clips:    2800,
	}
	aboutFairFace = About{
		Title: "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age",
		What: "97698 pictures of faces from the web with gender, race (7) and age bracket (9), balanced over race; " +
			"persons are not named",
		Publisher: "Kimmo Kärkkäinen and Jungseock Joo, on GitHub, repository joojs/fairface",
		Download: "the pictures with padding 0.25, fairface_label_train.csv and " +
			"fairface_label_val.csv",
		Layout: "train/1.jpg, val/1.jpg and the two csv files (columns file,age,gender,race,service_test); or names " +
			"with the labels, train/1_50-59_male_East_Asian.jpg",
		Terms: "CC BY 4.0",
		Paper: "Kärkkäinen and Joo 2021, arXiv 1908.04913",
		Clips: 97698,
	}
	aboutManifest = About{
		Title: "A manifest: clips of your own",
		What:  "media files and images with labels",
		Layout: "(is) a csv file whose first line names the columns " + strings.Join(ManifestColumns, ",") +
			", of which video or audio and emotion or gender must be there; paths are from its folder, empty fields " +
			"are not known",
		Terms:     "yours",
		Publisher: "you",
	}
)

// Licence returns the terms of a data set by the name in Clip.Dataset, "unknown" if they are not known.
func Licence(set string) string {
	base, _, _ := strings.Cut(set, ":")
	if base == "ravdess-warp" { // made from it, see docs/datasets.md
		base = "ravdess"
	}
	if d, ok := datasets[base]; ok && base != "manifest" {
		return d.about.Terms
	}
	return "unknown"
}
