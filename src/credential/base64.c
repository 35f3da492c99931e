/*-------------------------------------------------------------------------
 *
 * base64.c
 *	  Base64url, as the tokens and keys of Fernet use it.
 *
 * The decoder accepts what Python's urlsafe_b64decode() accepts.
 *
 * Both directions read tables at positions that depend on the data.  An
 * attacker who watches the processor's cache learns nothing useful from that:
 * tokens are not secret, and a key is decoded only once in each command.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <string.h>

#include <openssl/crypto.h>

#include "credential/base64.h"

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The table's entry for a character outside the alphabet. */
#define NOT_BASE64 UINT32_C(0x80000000)

/* For each 12 bits, their two characters. */
static char pairs[4096][2];

/* For each of the four places of a group, the value of a character there. */
static uint32_t values[4][256];

static bool tables_are_ready = false;

static void
set_value(unsigned char character, uint32_t value)
{
	for (int place = 0; place < 4; place++)
		values[place][character] = value << (18 - 6 * place);
}

/*
 * Fill the tables.  Converting 12 bits, or four characters without a shift, at
 * a time takes half as long as converting without tables.
 */
static void
make_tables(void)
{
	for (int i = 0; i < 4096; i++)
	{
		pairs[i][0] = alphabet[i >> 6];
		pairs[i][1] = alphabet[i & 63];
	}
	for (int place = 0; place < 4; place++)
	{
		for (int character = 0; character < 256; character++)
			values[place][character] = NOT_BASE64;
	}
	for (uint32_t value = 0; value < 64; value++)
		set_value((unsigned char) alphabet[value], value);

	/* Like Python's, the decoder takes both alphabets. */
	set_value('+', 62);
	set_value('/', 63);
	tables_are_ready = true;
}

/*
 * Convert bytes to padded base64url; returns the number of characters.  No
 * zero is appended.
 */
size_t
syncmaster_encode_base64(const unsigned char *data, size_t length, char *text)
{
	char *start = text;

	if (!tables_are_ready)
		make_tables();
	while (length >= 3)
	{
		memcpy(text, pairs[data[0] << 4 | data[1] >> 4], 2);
		memcpy(text + 2, pairs[(data[1] & 15) << 8 | data[2]], 2);
		text += 4;
		data += 3;
		length -= 3;
	}
	if (length > 0)
	{
		uint32_t group = (uint32_t) data[0] << 16;

		if (length == 2)
			group |= (uint32_t) data[1] << 8;
		*text++ = alphabet[group >> 18];
		*text++ = alphabet[group >> 12 & 63];
		*text++ = length == 2 ? alphabet[group >> 6 & 63] : '=';
		*text++ = '=';
	}
	return text - start;
}

/*
 * Convert text to bytes, exactly as Python's urlsafe_b64decode() does for a
 * str: characters outside the alphabet are skipped, padding ends the text when
 * it completes a group of four and is skipped elsewhere, an incomplete last
 * group is an error, and so is any character that is not ASCII.
 *
 * "data" has room for three bytes more than the usual three for four
 * characters.
 */
bool
syncmaster_decode_base64(const char *text, size_t length, unsigned char *data,
						 size_t *data_length)
{
	const unsigned char *in = (const unsigned char *) text;
	const unsigned char *end = in + length;
	unsigned char		*out = data;
	uint32_t			 group = 0;
	int					 position = 0;
	int					 padding = 0;
	unsigned char		 all = 0;
	bool				 complete = false;

	if (!tables_are_ready)
		make_tables();
	while (in < end)
	{
		uint32_t value;

		/* The usual case: four characters of the alphabet at a time. */
		while (position == 0 && end - in >= 4)
		{
			group = values[0][in[0]] | values[1][in[1]] | values[2][in[2]] |
					values[3][in[3]];
			if ((group & NOT_BASE64) != 0)
				break;
			out[0] = group >> 16;
			out[1] = group >> 8;
			out[2] = group;
			out += 3;
			in += 4;
		}
		if (in == end)
			break;

		all |= *in;
		value = values[3][*in];
		if (*in++ == '=')
		{
			if (position >= 2 && position + ++padding >= 4)
			{
				complete = true;
				break;
			}
			continue;
		}
		if (value == NOT_BASE64)
			continue;

		padding = 0;
		group = position == 0 ? value : group << 6 | value;
		if (++position < 4)
			continue;
		out[0] = group >> 16;
		out[1] = group >> 8;
		out[2] = group;
		out += 3;
		position = 0;
	}

	/*
	 * The characters of a group before its padding, or before the end of the
	 * text.
	 */
	if (position == 2)
		*out++ = group >> 4;
	else if (position == 3)
	{
		*out++ = group >> 10;
		*out++ = group >> 2;
	}
	while (in < end)
		all |= *in++;
	OPENSSL_cleanse(&group, sizeof(group));

	*data_length = out - data;
	return (all & 0x80) == 0 && (complete || position == 0);
}
