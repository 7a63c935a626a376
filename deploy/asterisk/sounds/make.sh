#!/usr/bin/env bash
# Makes the default prompts: 8 kHz, mono, 16-bit WAV, as a phone line carries
# it. Needs espeak-ng and sox (Debian: apt install espeak-ng sox). To put your
# own voice in their place, record the same words and keep the file names.
set -euo pipefail
cd "$(dirname "$0")"

# prompt LANGUAGE VOICE NAME WORDS
prompt() {
	mkdir -p "$1"
	espeak-ng -v "$2" -s 155 -p 45 -a 100 --stdout "$4" |
		# Keep what a phone line passes, leave room before clipping, and give
		# the ear a moment at both ends.
		sox -D -t wav - -b 16 -c 1 -r 8000 "$1/$3.wav" \
			highpass 200 lowpass 3400 norm -4 silence 1 0.01 0.5% pad 0.2 0.3
}

prompt en en-us+f3 offer "Press 1, and we will text you a link to help yourself right away. To stay on the line, press 2."
prompt en en-us+f3 sent "Thank you. The text with your link is on its way."
prompt en en-us+f3 failed "Sorry, we could not send you a text. Please stay on the line."
prompt en en-us+f3 opted-out "All right. You will get no more texts from us."
